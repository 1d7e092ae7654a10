"""Who may do what over HTTP: gate.py decides it, by the server's token or by the session of somebody who signed in.

person.py has the roles, sessions.py who is signed in, throttle.py slows guesses, sign_in.py checks passwords and links.
"""
