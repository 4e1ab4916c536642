"""Which Serve replica gets a call: the one that the gateway chose, as long as it is there."""

from __future__ import annotations

from ray.serve.request_router import PendingRequest, RequestRouter, RunningReplica


class ChosenFirst(RequestRouter):  # type: ignore[misc]  # ray is not typed for us
    """The gateway balances by tokens, avoids replicas that failed and hedges; Serve does as told.

    Without a choice, or when the chosen one is gone or full, any replica may take the call.
    """

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        wanted = _wanted(pending_request)
        chosen = [one for one in candidate_replicas if one.replica_id.unique_id == wanted]
        others = [one for one in candidate_replicas if one.replica_id.unique_id != wanted]
        return [group for group in (chosen, others) if group]


def _wanted(pending: PendingRequest | None) -> str:
    if pending is None:
        return ""
    return str(pending.kwargs.get("to", "")).partition("/")[0]
