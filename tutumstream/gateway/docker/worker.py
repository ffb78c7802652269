"""What the engine of a worker leaves to a manager of its swarm that is shown beside it. Pure.

Both know the worker as a node, its tasks' containers, and what those belong to, under the same identities. The manager
alone knows what was ordered, and why something does not run; so it tells all of that, and the worker only the rest.
"""

from tutumstream.gateway.docker.identity import is_task
from tutumstream.gateway.docker.registry import Registry


def is_left(worker: Registry, managers: list[Registry], kind: str, uuid: str) -> bool:
    """Whether one of the managers tells of this object of the worker's.

    Args:
        managers: all other engines that are shown; those that manage no swarm know no other node.
    """
    node = worker.node.id
    if not node or not any(node in manager.nodes.others for manager in managers):
        return False
    if kind == "container":
        known = worker.find(uuid)
        return known is not None and is_task(known.container.labels)
    if kind == "service":
        service = worker.groups.services.get(uuid)
        return service is not None and service.by_swarm
    if kind == "stack":
        stack = worker.groups.stacks.get(uuid)
        return stack is not None and stack.by_swarm
    return kind == "node" and worker.node.uuid == uuid
