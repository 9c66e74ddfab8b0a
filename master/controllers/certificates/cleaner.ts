import { certificateSigningRequests } from "#shared/api/resources.ts";
import type { CertificateSigningRequest } from "#shared/api/types/certificates-v1.generated.ts";
import { type ControllerDefinition, defineController, watching } from "#shared/client/controller.ts";
import { unlessGone } from "#shared/client/unless-gone.ts";
import { isDecided } from "./request-state.ts";

const hour_ms = 3_600_000;
const decidedFor_ms = hour_ms;
const openFor_ms = 24 * hour_ms;

/** Removes requests an hour after they were decided, or a day after nobody did. */
export const certificateCleaner: ControllerDefinition = defineController({
  name: "certificate-cleaner",
  serviceAccount: "certificate-controller",
  concurrency: 1,
  watches: [watching(certificateSigningRequests)],
  async reconcile(key, { lister, client, clock }) {
    const request = lister(certificateSigningRequests).get(key);
    if (!request) return undefined;
    const wait_ms = endOf(request) - clock.wall_ms();
    if (wait_ms > 0) return { requeueAfter_ms: wait_ms };
    await unlessGone(client.delete(certificateSigningRequests, { name: key }));
    return undefined;
  },
});

/** When a request has served its time, in ms since 1970. */
export function endOf(request: CertificateSigningRequest): number {
  const created_ms = Date.parse(request.metadata.creationTimestamp ?? "") || 0;
  if (!isDecided(request)) return created_ms + openFor_ms;
  const decided = (request.status?.conditions ?? []).map(({ lastUpdateTime }) => Date.parse(lastUpdateTime ?? "") || 0);
  return Math.max(created_ms, ...decided) + decidedFor_ms;
}
