"""Who is there: subjects, the sockets that they are on, and how much each may do."""
