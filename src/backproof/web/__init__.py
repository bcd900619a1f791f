"""The local web app: a page to write a sheet in, and the server behind it.

    server    starts everything                 app       the addresses
    guard     what a request may be             pool      worker processes, bounded and replaced
    worker    what runs in such a process       desk      a sheet worked bit by bit
    uploads   data files of one open page       limits    how large things may be
    gallery   the examples                      warm      what is loaded before forking

A sheet that comes over the network is untrusted: it is read and worked in worker processes only.
"""
