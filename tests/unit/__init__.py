"""Tests of the sources themselves: where a module may be, what a Lua script may do, what a test may say."""
