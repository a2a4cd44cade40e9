"""The command `check`: what a claim still lacks."""

import click

from theory import registry


@click.command()
@click.argument("patterns", nargs=-1, metavar="[ID, glob or FILE.py]…", required=True)
@click.option("--declared", "alone", is_flag=True, help="Look at what is declared only; observe nothing.")
@click.pass_context
def check(context: click.Context, patterns: tuple[str, ...], alone: bool) -> None:
    """Tell what claims lack before their checks mean something: yours (FILE.py), or the project's.

    A claim needs words, a reason for its tolerance, explained symbols, settings, a negative control that is rejected;
    and it must say something, predict point by point, and give the same bits with the same seed whatever the workers.
    It is observed three times at quick settings, with nothing stored: twice with one worker and once with two.

    Exit status: 0 if nothing is missing, 1 if something is, 2 for bad usage or a file with an error.
    """
    from theory import contract

    claims = registry.select(patterns)
    total = 0
    for claim in claims:
        found = contract.declared(claim) if alone else contract.missing(claim)
        lacking = sum(map(len, found.values()))
        total += lacking
        left = [name for name in contract.RULES if name not in found]
        told = f"{lacking} missing" if lacking else f"nothing missing, {len(found)} rules"
        if claim.missing() and not alone:
            told += f"; not observed without the extra {claim.missing()}"
        click.echo(f"{claim.id}: {told}")
        if lacking or len(claims) == 1:
            for name, complaints in found.items():
                click.echo(f"  {'MISSING' if complaints else 'ok':7}  {name:13}  {contract.RULES[name]}")
                for complaint in complaints:
                    click.echo(f"{'':26}{complaint}")
            if left:
                click.echo(f"  {'':7}  not tried: {', '.join(left)}")
    if len(claims) > 1:
        click.echo(f"{len(claims)} claims, {total} missing." if total else f"{len(claims)} claims, nothing missing.")
    context.exit(1 if total else 0)
