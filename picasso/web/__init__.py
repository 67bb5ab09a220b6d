"""The web server: pages for people, an API for programs, and a guard in front of both."""
