import { splitKey } from "#shared/api/object.ts";
import { jobs } from "#shared/api/resources.ts";
import type { Job } from "#shared/api/types/batch-v1.generated.ts";
import { defineController, watching } from "#shared/client/controller.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";

/** When a finished Job may go (milliseconds since 1970), undefined while it runs or has no limit (pure). */
export function expiryOf({ spec, status }: Job): number | undefined {
  const ttl_s = spec?.ttlSecondsAfterFinished;
  const end = status?.conditions?.find(
    ({ type, status }) => (type === "Complete" || type === "Failed") && status === "True",
  );
  if (ttl_s === undefined || !end?.lastTransitionTime) return undefined;
  return Date.parse(end.lastTransitionTime) + Number(ttl_s) * 1000;
}

/** Deletes Jobs, with their pods, `ttlSecondsAfterFinished` after they have finished. */
export const ttlAfterFinishedController = defineController({
  name: "ttl-after-finished-controller",
  watches: [
    watching(jobs, {
      when: ({ type, object }) =>
        type !== "delete" && !object.metadata.deletionTimestamp && expiryOf(object) !== undefined,
    }),
  ],
  // Clocks of boards leap: what was put off by the old time is looked at again.
  resync_s: 600,
  async reconcile(key, { lister, client, clock }) {
    const job = lister(jobs).get(key);
    const expiry_ms = job && !job.metadata.deletionTimestamp ? expiryOf(job) : undefined;
    if (expiry_ms === undefined) return undefined;
    const left_ms = expiry_ms - clock.wall_ms();
    if (left_ms > 0) return { requeueAfter_ms: left_ms };
    // The limit may just have been raised.
    const latest = await unlessGone(client.get(jobs, splitKey(key)));
    const isDue = latest && (expiryOf(latest) ?? Number.POSITIVE_INFINITY) <= clock.wall_ms();
    if (!isDue || latest.metadata.uid !== job?.metadata.uid) return undefined;
    const { uid, resourceVersion } = latest.metadata;
    const preconditions = { uid, resourceVersion };
    await unlessGone(client.delete(jobs, splitKey(key), { propagationPolicy: "Foreground", preconditions }));
    return undefined;
  },
});
