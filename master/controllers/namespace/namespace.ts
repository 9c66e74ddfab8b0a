import { namespaces } from "#shared/api/resources.ts";
import type { Namespace } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { timestamp } from "#shared/client/clock.ts";
import { type ControllerDefinition, defineController, watching } from "#shared/client/controller.ts";
import type { ResourceMapper } from "#shared/client/discovery.ts";
import { exponentialDelay_ms } from "#shared/client/exponential-delay.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import { conditionsAfter } from "./conditions.ts";
import { deleteContent } from "./content.ts";

/** The finalizer in `spec.finalizers` that the API server gives to every namespace. */
const finalizer = "kubernetes";

/** Time between passes while something is left: it starts short, for pods mostly go within a second or two. */
const firstPass_ms = 500;
const longestPass_ms = 10_000;

/** Empties namespaces that are being deleted, tells how far that is, and lets them go when nothing is left. */
export function namespaceController(mapper: ResourceMapper): ControllerDefinition {
  const passes = new Map<string, number>();
  return defineController({
    name: "namespace-controller",
    watches: [watching(namespaces, { when: ({ object }) => object.metadata.deletionTimestamp !== undefined })],
    resync_s: 300,
    concurrency: 8,
    async reconcile(key, { client, clock }) {
      const namespace = await getDeleting(client, key);
      if (!namespace) {
        passes.delete(key);
        return undefined;
      }
      // Always asked anew: a kind that came since the last time may have objects here.
      const since_ms = clock.wall_ms() - Date.parse(namespace.metadata.deletionTimestamp ?? "");
      const report = await deleteContent(client, { namespace: key, since_ms }, await mapper.refresh());
      const conditions = conditionsAfter(namespace.status?.conditions ?? [], report, timestamp(clock));
      let current = namespace;
      if (conditions || namespace.status?.phase !== "Terminating") {
        const status = {
          ...namespace.status,
          phase: "Terminating",
          ...(conditions ? { conditions } : {}),
        };
        current = await client.update(namespaces, { ...namespace, status }, { subresource: "status" });
      }
      const isEmpty = report.remaining.size === 0 && report.deletionErrors.length === 0;
      if (isEmpty && report.discoveryFailures.size === 0) {
        passes.delete(key);
        await finalize(client, current);
        return undefined;
      }
      const pass = passes.get(key) ?? 0;
      passes.set(key, pass + 1);
      return { requeueAfter_ms: exponentialDelay_ms(pass, firstPass_ms, longestPass_ms) };
    },
  });
}

/** The namespace as it stands in the API, if it is being deleted and still ours to finish. */
async function getDeleting(client: Client, name: string): Promise<Namespace | undefined> {
  const namespace = await unlessGone(client.get(namespaces, { name }));
  const isOurs = namespace?.metadata.deletionTimestamp && namespace.spec?.finalizers?.includes(finalizer);
  return isOurs ? namespace : undefined;
}

async function finalize(client: Client, namespace: Namespace): Promise<void> {
  const finalizers = (namespace.spec?.finalizers ?? []).filter((one) => one !== finalizer);
  await unlessGone(
    client.update(namespaces, { ...namespace, spec: { ...namespace.spec, finalizers } }, { subresource: "finalize" }),
  );
}
