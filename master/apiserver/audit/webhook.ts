import { pause, systemClock } from "#shared/client/clock.ts";
import { KubeconfigWebhook } from "../kubeconfig-webhook.ts";

const ATTEMPTS = 5;
const BACKOFF_FACTOR = 1.5;
const TIMEOUT_MS = 30_000;

/**
 * Sends events as an EventList to the server of a kubeconfig. What fails without an answer, or with 429 or 5xx, is sent
 * again a few times; once `ending` is aborted, at once and no more than once. Throws ConfigError for a file that is no
 * kubeconfig; what is sent rejects when given up.
 */
export function webhookSender(
  configFile: string,
  initialBackoff_ms: number,
  ending?: AbortSignal,
): (events: readonly string[]) => Promise<void> {
  const collector = new KubeconfigWebhook("audit-webhook-config-file", configFile, TIMEOUT_MS);
  return async (events) => {
    const body = `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[${events.join(",")}]}`;
    for (let attempt = 1, pause_ms = initialBackoff_ms; ; attempt += 1, pause_ms *= BACKOFF_FACTOR) {
      const { status, why } = await collector.post(body);
      if (status !== undefined && status >= 200 && status < 300) return;
      const isWorthAnother = status === undefined || status === 429 || status >= 500;
      if (!isWorthAnother || attempt === ATTEMPTS || ending?.aborted)
        throw new Error(why ?? `${collector.url}: answered ${status}`);
      await pause(systemClock, pause_ms, ending);
    }
  };
}
