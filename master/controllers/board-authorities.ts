import { nodes, secrets } from "#shared/api/resources.ts";
import { type ControllerDefinition, defineController, everyKeyOf, watching } from "#shared/client/controller.ts";
import { authoritiesSaid, authoritiesToTell } from "#shared/pki/authority-annotations.ts";
import { clusterKeys } from "../pki/cluster-keys.ts";

/** Tells boards of the authorities that the cluster trusts by now (PEM), at the Nodes of those that go by others. So a
 *  rotation waits for no board's next look, and an idle board need not look. */
export function boardAuthorities(rootCa: () => string): ControllerDefinition {
  return defineController({
    name: "board-authorities-controller",
    watches: [
      watching(nodes, {
        when: (event) =>
          event.type !== "update" ||
          authoritiesSaid(event.old.metadata.annotations) !== authoritiesSaid(event.object.metadata.annotations),
      }),
      watching(secrets, { scope: clusterKeys, enqueue: everyKeyOf(nodes) }),
    ],
    concurrency: 1,
    async reconcile(name, { lister, client }) {
      const annotations = lister(nodes).get(name)?.metadata.annotations;
      const told = authoritiesToTell(annotations, rootCa());
      if (told) await client.patch(nodes, { name }, { type: "merge", body: { metadata: { annotations: told } } });
    },
  });
}
