"""The one place that reaches Redis. From what a method asks to the bytes on the wire:

| module | what it knows |
| --- | --- |
| namespace | which keys belong to a scheduler |
| commands | what a method may ask of Redis |
| script_call | how a script call becomes a command |
| recovery | what is done after each error, for both connections |
| error_replies | what each error reply means |
| permissions | what a user of Redis is told who may not do all that is needed |
| sync_connection | the blocking connections of `Scheduler` |
| multiplexed_connection | the shared connections of `AsyncScheduler` |
| encoding | how any text becomes bytes, and bytes a text |
| clients | the redis-py client for a URL, and where the primary is |
| urls | what a URL says |
| embedded_server | the server behind `local:` |
| memory_server | the server behind `memory:` |
"""
