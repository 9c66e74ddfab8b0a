import { untilSignalled } from "#shared/board/signals.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import type { Log } from "#shared/client/log.ts";
import { ConfigError } from "#shared/config/option.ts";
import { type CheckedPart, onceInCluster } from "../leadership.ts";

export interface ElectedComponent {
  readonly kubeconfig: string;
  readonly leaderElect: "true" | "false";
  /** As upstream names the component's Lease. */
  readonly lease: string;
  /** kube-system when absent. */
  readonly leaseNamespace?: string | undefined;
  readonly log: Log;
}

/** The API as the component's kubeconfig says. Throws ConfigError, KubeconfigError. */
export function componentClient(kubeconfig: string): HttpClient {
  if (kubeconfig === "") throw new ConfigError("kubeconfig: name the file that says where the API server is");
  const { servers, credentials } = loadKubeconfig(kubeconfig);
  return new HttpClient({ servers, credentials });
}

/** Runs a component until it is told to end: at once, or whenever it holds its Lease. */
export async function runElected(
  { kubeconfig, leaderElect, lease, leaseNamespace, log }: ElectedComponent,
  start: (client: HttpClient) => Promise<CheckedPart>,
): Promise<void> {
  const client = componentClient(kubeconfig);
  const ended = untilSignalled();
  const part =
    leaderElect === "true"
      ? onceInCluster({ client, lease, namespace: leaseNamespace, log }, () => start(client))
      : await start(client);
  const signal = await ended;
  log.info("ending", { signal });
  await part.stop();
}
