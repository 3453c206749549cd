/**
 * What is wrong with a page for people who see little, hear it read, or have a keyboard alone: sentences. By WCAG 2.2,
 * from computed styles. An expression: a page's policy lets nobody run a text as code.
 */
(() => {
  const TEXT = 4.5; // 1.4.3
  const LARGE_TEXT = 3;
  const PART = 3; // 1.4.11
  const TARGET_PX = 24; // 2.5.8
  const THUMB_PX = 44; // 2.5.5
  const wrong = [];
  const seen = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const box = (element) => element.getBoundingClientRect();

  const parsed = (text) => {
    const [red, green, blue, alpha = 1] = text.match(/[\d.]+/g).map(Number);
    return [red, green, blue, alpha];
  };
  const over = ([red, green, blue, alpha], ground) =>
    [red, green, blue].map((value, index) => value * alpha + ground[index] * (1 - alpha));
  const luminance = (colour) => {
    const [red, green, blue] = colour.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };
  /** What somebody sees of a colour that is painted in an element, and of the ground that it is painted on. */
  const painted = (element, colour, bottom) => {
    if (element === null) return { ground: bottom, colour: over(colour, bottom) };
    const style = getComputedStyle(element);
    const behind = painted(element.parentElement, [0, 0, 0, 0], bottom).ground;
    const ground = over(parsed(style.backgroundColor), behind);
    const faded = (of) => over([...of, Number(style.opacity)], behind);
    const up = (of, parent) => {
      if (parent === null) return of;
      const opacity = Number(getComputedStyle(parent).opacity);
      const below = painted(parent.parentElement, [0, 0, 0, 0], bottom).ground;
      return up(opacity < 1 ? over([...of, opacity], below) : of, parent.parentElement);
    };
    return { ground: faded(ground), colour: up(faded(over(colour, ground)), element.parentElement) };
  };
  /** The page's own ground; beside the game there may be any. */
  const bottoms = (element) =>
    [...document.querySelectorAll("#pad")].some((pad) => pad.contains(element) && getComputedStyle(pad).position === "fixed")
      ? [[0, 0, 0], [255, 255, 255]]
      : [parsed(getComputedStyle(document.body).backgroundColor).slice(0, 3)];
  const named = (element) => `${element.tagName.toLowerCase()}#${element.id || element.parentElement.id} "${element.textContent.trim()}"`;

  const own = (element) => [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  for (const element of document.body.querySelectorAll("*")) {
    if (!own(element) || !seen(element) || element.id === "said") continue;
    const style = getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    for (const bottom of bottoms(element)) {
      const { ground, colour } = painted(element, parsed(style.color), bottom);
      const found = contrast(colour, ground);
      if (found < (large ? LARGE_TEXT : TEXT)) wrong.push(`contrast of text ${found.toFixed(2)}: ${named(element)}`);
    }
    if (size < 14) wrong.push(`text of ${size} px: ${named(element)}`);
    if (element.scrollWidth > element.clientWidth + 1 && style.display !== "inline") wrong.push(`text is cut: ${named(element)}`);
  }

  for (const element of document.querySelectorAll("button")) {
    if (!seen(element)) continue;
    const { width, height, left, right, top, bottom: low } = box(element);
    const least = element.closest("#pad") || matchMedia("(pointer: coarse)").matches ? THUMB_PX : TARGET_PX;
    if (Math.min(width, height) < least) wrong.push(`${width} x ${height} px to press: ${named(element)}`);
    if (left < 0 || right > innerWidth || top < 0 || low > document.documentElement.scrollHeight + 1) {
      wrong.push(`out of sight: ${named(element)}`);
    }
    if (!(element.getAttribute("aria-label") || element.textContent).trim()) wrong.push(`without a name: ${named(element)}`);
    const style = getComputedStyle(element);
    const inactive = element.getAttribute("aria-disabled") === "true"; // 1.4.11 asks nothing of it
    for (const bottom of inactive ? [] : bottoms(element)) {
      const around = painted(element.parentElement, [0, 0, 0, 0], bottom).ground;
      const edges = [painted(element, parsed(style.borderTopColor), bottom).colour, painted(element, [0, 0, 0, 0], bottom).ground];
      const found = Math.max(...edges.map((edge) => contrast(edge, around)));
      if (found < PART) wrong.push(`contrast of a button ${found.toFixed(2)}: ${named(element)}`);
    }
  }

  const buttons = [...document.querySelectorAll("button")].filter(seen);
  for (const [index, one] of buttons.entries()) {
    for (const other of buttons.slice(index + 1)) {
      const [a, b] = [box(one), box(other)];
      if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) {
        wrong.push(`${named(one)} lies over ${named(other)}`);
      }
    }
  }

  for (const element of document.querySelectorAll("button, [tabindex]")) {
    if (element.tabIndex < 0 || !seen(element)) continue;
    element.focus({ focusVisible: true });
    if (document.activeElement !== element) wrong.push(`no keyboard gets to ${named(element)}`);
    const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(element);
    const { ground, colour } = painted(element.parentElement, parsed(outlineColor), bottoms(element)[0]);
    if (outlineStyle === "none" || parseFloat(outlineWidth) < 2) wrong.push(`focus is not seen: ${named(element)}`);
    else if (contrast(colour, ground) < PART) wrong.push(`contrast of the focus ${contrast(colour, ground).toFixed(2)}: ${named(element)}`);
  }
  document.activeElement.blur();

  if (document.documentElement.lang === "") wrong.push("no language is said");
  if (!/[a-z]/i.test(document.title)) wrong.push(`no title: ${document.title}`);
  for (const element of document.querySelectorAll("canvas, ul, [role=group]")) {
    if (seen(element) && !element.getAttribute("aria-label")) wrong.push(`without a label: ${named(element)}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  if (new Set(ids).size < ids.length) wrong.push("two have one id");
  if (document.getAnimations().length > 0) wrong.push("something moves");
  if (document.documentElement.scrollWidth > innerWidth) wrong.push("it is wider than the screen");
  return wrong;
})()
