"""``python -m infusion_cli``: the ``infusion`` command where no script was installed."""

from infusion_cli.main import main

if __name__ == "__main__":
    main(prog_name="infusion")
