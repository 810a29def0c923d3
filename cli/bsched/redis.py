"""`bsched redis`: the private Redis behind `local:`."""

import click


@click.group()
def redis() -> None:
    """x"""
