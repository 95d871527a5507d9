"""The study `alpha_sweep`: error and dissipation of the α-tron, measured and predicted."""

from ..config import RULES, AlphaSweep
from ..numerics.statistics import text_with_error
from ..plots import measured_against_alpha
from ..sweeps import Grid
from ._at_rest import RestStudy
from ._base import deviation, pair
from ._table import sample_text, table_text


class AlphaSweepStudy(RestStudy):
    """α along one axis, the learning rate along the other."""

    config: AlphaSweep

    @property
    def grid(self):
        return Grid(learning_rate=self.config.learning_rate, alpha=self.config.alpha)

    def point(self, ensemble, **parameters):
        alpha, learning_rate = parameters["alpha"], parameters["learning_rate"]
        config = self.config
        problem = self.problem(RULES[config.rule](alpha), learning_rate)
        measured = self.measure(problem, ensemble, config.dt, config.level)
        return measured | self.predict(problem, ensemble["n_trajectories"], config.dt)

    def summary(self, results):
        points = []
        for _, parameters, entry in self.points(results):
            numbers = {
                name: pair(entry, name)
                | {
                    "predicted": float(entry[f"predicted_{name}"]),
                    "limit": float(entry[f"limit_{name}"]),
                    "deviation": deviation(entry, name),
                }
                for name in ("error", "dissipation")
            }
            separation = {"scale_separation": float(entry.scale_separation)}
            points.append(parameters | numbers | separation)
        return {
            "study": self.config.study,
            "n_trajectories": self.config.n_trajectories,
            "points": points,
        }

    def table(self, summary):
        rows = [
            ["learning rate", "α", "error ε", "predicted", "dissipation", "predicted", "separation"]
        ]
        for entry in summary["points"]:
            row = [f"{entry['learning_rate']:g}", f"{entry['alpha']:g}"]
            for name in ("error", "dissipation"):
                numbers = entry[name]
                row += [text_with_error(numbers["mean"], numbers["standard_error"])]
                row += [f"{numbers['predicted']:.5g}"]
            rows.append([*row, f"{entry['scale_separation']:.3f}"])
        return f"{table_text(rows)}\nAt rest, {sample_text(summary['n_trajectories'])}; k_B = 1."

    def figures(self, results):
        return {"error_and_dissipation": measured_against_alpha(results, self.config.title)}
