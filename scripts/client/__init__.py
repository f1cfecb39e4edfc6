"""The client: sends input of any size in parts the server takes, waits, and brings every answer home once.

Everything it must not forget lies in one state file in the output folder, so it can be stopped or killed
anywhere and started again. It talks to the server over HTTP only; from the server's code it borrows the rules
of a line and the way a durable file is written.
"""
