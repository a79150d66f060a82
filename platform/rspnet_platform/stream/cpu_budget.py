"""Who wants which CPUs and GPUs, added up before anything starts: what cannot fit is refused with a table.

Ray itself waits for ever for what will never be free (two workers of one CPU each on two CPUs leave none to decode).
"""

from dataclasses import dataclass


class BudgetError(ValueError):
    """What was asked for does not fit into the cluster."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """`count` processes that hold `cpus` and `gpus` each for as long as the run lasts."""

    who: str
    count: int
    cpus: float
    gpus: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Budget:
    claims: tuple[Claim, ...]
    cluster_cpus: float
    cluster_gpus: float = 0.0
    accepted: str = (
        "fewer workers (--scaling.num-workers), less for each (--scaling.cpus-per-worker, "
        "--scaling.cpus-per-decode-task), or a larger cluster"
    )

    @property
    def cpus(self) -> float:
        return sum(claim.count * claim.cpus for claim in self.claims)

    @property
    def gpus(self) -> float:
        return sum(claim.count * claim.gpus for claim in self.claims)

    @property
    def too_few(self) -> list[str]:
        """What the cluster has too little of."""
        totals = [("CPUs", self.cpus, self.cluster_cpus), ("GPUs", self.gpus, self.cluster_gpus)]
        return [name for name, wanted, there in totals if wanted > there + 1e-9]

    def check(self) -> None:
        """Raises BudgetError with the table and what would fit."""
        if self.too_few:
            raise BudgetError(
                f"the cluster has too few {' and '.join(self.too_few)} for this run:\n{self.table()}\n"
                f"Accepted: {self.accepted}."
            )

    def table(self) -> str:
        lines = [f"  {'who':<28}{'count':>6}{'CPUs':>8}{'GPUs':>8}"]
        for claim in self.claims:
            lines.append(
                f"  {claim.who:<28}{claim.count:>6}{claim.count * claim.cpus:>8g}{claim.count * claim.gpus:>8g}"
            )
        lines.append(f"  {'together':<34}{self.cpus:>8g}{self.gpus:>8g}")
        lines.append(f"  {'the cluster has':<34}{self.cluster_cpus:>8g}{self.cluster_gpus:>8g}")
        return "\n".join(lines)


def fitting_cpus_per_worker(*, num_workers: int, cpus_per_decode_task: float, cluster_cpus: float) -> float:
    """One CPU a worker where that leaves a decode task room, otherwise half of one: whole numbers are kept to because
    Ray counts fractions badly when it resizes a worker group."""
    return 1.0 if num_workers + cpus_per_decode_task <= cluster_cpus else 0.5
