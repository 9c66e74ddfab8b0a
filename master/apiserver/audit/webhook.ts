import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { ConfigError } from "#shared/config/option.ts";

const ATTEMPTS = 5;
const BACKOFF_FACTOR = 1.5;
const TIMEOUT_MS = 30_000;

/**
 * Sends events as an EventList to the server of a kubeconfig. What fails without an answer, or with 429 or 5xx, is sent
 * again a few times. Throws ConfigError for a file that is no kubeconfig; what is sent rejects when given up.
 */
export function webhookSender(
  configFile: string,
  initialBackoff_ms: number,
): (events: readonly string[]) => Promise<void> {
  const { servers, credentials } = configOf(configFile);
  const [url = ""] = servers;
  return async (events) => {
    const body = `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[${events.join(",")}]}`;
    for (let attempt = 1, pause_ms = initialBackoff_ms; ; attempt += 1, pause_ms *= BACKOFF_FACTOR) {
      const failure = await post(url, credentials(), body);
      if (!failure) return;
      if (!failure.isWorthAnother || attempt === ATTEMPTS) throw new Error(`${url}: ${failure.why}`);
      await new Promise((resolve) => setTimeout(resolve, pause_ms));
    }
  };
}

function configOf(file: string): ReturnType<typeof loadKubeconfig> {
  try {
    return loadKubeconfig(file);
  } catch (error) {
    throw new ConfigError(`audit-webhook-config-file: ${error instanceof Error ? error.message : String(error)}`);
  }
}

interface Failure {
  readonly why: string;
  readonly isWorthAnother: boolean;
}

async function post(
  url: string,
  { ca, certificate, key, token, insecureSkipTlsVerify }: ReturnType<ReturnType<typeof loadKubeconfig>["credentials"]>,
  body: string,
): Promise<Failure | undefined> {
  const headers = { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) };
  const tls = {
    ...(ca ? { ca } : {}),
    ...(certificate && key ? { cert: certificate, key } : {}),
    ...(insecureSkipTlsVerify ? { rejectUnauthorized: false } : {}),
  };
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(url, { method: "POST", body, headers, tls, signal, redirect: "error" } as RequestInit);
    await response.arrayBuffer();
    if (response.ok) return undefined;
    const { status } = response;
    return { why: `answered ${status}`, isWorthAnother: status === 429 || status >= 500 };
  } catch (error) {
    return { why: error instanceof Error ? error.message : String(error), isWorthAnother: true };
  }
}
