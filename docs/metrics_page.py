"""What docs/metrics.md says, from the table of metrics, for docs/generate.py."""

from __future__ import annotations

from broker_sched.scheduler.metric_counts import RPC_ENDS, TASK_ENDS, WAKEUP_ENDS
from broker_sched.server.metrics.table import METRICS, Metric

ABOVE = """\
Every `bsched server` answers `GET /metrics` in Prometheus' text format, or as OpenMetrics to whoever asks for that. Counts stand in Redis, where the scripts keep
them: so **every server says the same, and no count goes back** when servers or workers are killed. Scrape one address (a load balancer's will do), or every server and take
`max without (instance)`; never add servers up.

```yaml
scrape_configs:
  - job_name: bsched
    static_configs: [{targets: ["127.0.0.1:8082"]}]
rule_files: [prometheus-alerts.yaml]   # from deploy/
```

The first 200 families have series of their own, for good; all later ones are counted together as `family="other"`. No task id, worker or parameter is a label. Where users are configured, Prometheus needs a\ntoken of any role; a viewer that sees counts only gets no names: all families together, and no resources. A dashboard for
Grafana is deploy/grafana-dashboard.json; the alerts are explained in [operations](operations.md#alerts).

## Metrics
"""
SCALE = """\
## /scale

`GET /scale` tells an autoscaler how many slots could all be used now, as JSON; with `?family=NAME`, once or several times, of these families.

| field | meaning |
| --- | --- |
| `wanted_slots` | running + runnable |
| `running` | tasks that run |
| `runnable` | slots for which there is work beside them. Tasks that a limit of a resource, a pause or a dep keeps out want none; ready tasks that go in a batch want one |
| `exact` | false when so many tasks compete for scarce resources that not all were looked at, and the rest was worked out |
| `families`, `namespace` | what was asked about |

With so many slots all of them run something; one more would get nothing. A worker that is idle keeps nothing busy, so a fleet may shrink to that number, too (workers
[drain](operations.md#draining-and-rolling-deploys)). For [KEDA](https://keda.sh):

```yaml
triggers:
  - type: metrics-api
    metadata:
      url: "http://bsched:8082/scale?family=Train"
      valueLocation: "wanted_slots"
      targetValue: "4"              # slots of one worker: bsched worker --processes 4
```

## Luigi's options

`[scheduler] metrics_collector` of luigi.cfg may be `default` or `prometheus`: `/metrics` is there with either. `datadog` and `custom` are without effect, and named at the start. Of `[prometheus]`,
`use_task_family_in_labels` is always true, and `task_parameters_to_use_in_labels` is without effect: a label for each value of a parameter is a series for each, for ever.
"""


def metrics(note: str) -> str:
    """Make docs/metrics.md."""
    buckets = [
        f"| {', '.join(f'`{metric.name}`' for metric in METRICS if metric.name in names)} | {', '.join(f'{end:g}' for end in ends)} |"
        for names, ends in (
            (("bsched_task_runtime_seconds", "bsched_queue_wait_seconds"), TASK_ENDS),
            (("bsched_rpc_duration_seconds",), RPC_ENDS),
            (("bsched_wakeup_seconds",), WAKEUP_ENDS),
        )
    ]
    return "\n".join(
        [
            "# Metrics\n",
            note,
            ABOVE,
            "| metric | type | labels | meaning |",
            "| --- | --- | --- | --- |",
            *map(_row, METRICS),
            "\nUpper ends of the buckets of histograms, in seconds:\n",
            "| histogram | buckets |",
            "| --- | --- |",
            *buckets,
            "",
            SCALE,
        ]
    )


def _row(metric: Metric) -> str:
    meaning = f"{metric.help}. {metric.more}".strip()
    return f"| `{metric.name}` | {metric.type} | {', '.join(metric.labels)} | {meaning} |"
