import type { Node, ObjectReference } from "#shared/api/types/core-v1.generated.ts";

/** How upstream's controllers name a node in events: without its revision, so that the same again is the same event. */
export const nodeReference = ({ metadata: { name, uid } }: Pick<Node, "metadata">): ObjectReference => ({
  apiVersion: "v1",
  kind: "Node",
  name,
  uid,
});
