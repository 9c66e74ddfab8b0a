import { join } from "node:path";
import { HttpClient } from "#shared/client/http-client.ts";
import { InformerFactory, withoutManagedFields } from "#shared/client/informer.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import type { Log } from "#shared/client/log.ts";
import { componentAgent } from "#shared/client/user-agent.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { Parts } from "#shared/process/parts.ts";
import { openCacheFiles } from "./checkpoint/cache-files.ts";
import { Seal } from "./checkpoint/seal.ts";
import { dnsSettingsScope } from "./dns/cluster-dns.ts";

export interface ComponentAccess {
  readonly client: HttpClient;
  /** Not started; they begin from the checkpoint, if there is one, when no API server answers. */
  readonly informers: InformerFactory;
}

/** The API as the kubeconfig of a component of a board says, and what it said last. Throws ConfigError, KubeconfigError.
 *  @param component  as whom it asks
 *  @param checkpointDir where that is kept, sealed; nowhere when empty */
export async function componentAccess(
  component: string,
  { kubeconfig, checkpointDir }: { readonly kubeconfig: string; readonly checkpointDir: string },
  parts: Parts,
  log: Log,
): Promise<ComponentAccess> {
  if (kubeconfig === "") throw new ConfigError("kubeconfig: name the file that says where the API server is");
  const config = loadKubeconfig(kubeconfig);
  const client = new HttpClient({ ...config, userAgent: componentAgent(component) });
  const caches = checkpointDir === "" ? undefined : await checkpointIn(checkpointDir, log);
  if (caches) parts.add("checkpoint", caches);
  const informers = new InformerFactory(client, { transform: withoutManagedFields, log, checkpoint: caches });
  parts.add("informers", { stop: () => informers.stop() });
  return { client, informers };
}

async function checkpointIn(folder: string, log: Log) {
  const seal = await Seal.open(join(folder, "checkpoint.key"), "");
  return openCacheFiles(folder, seal, log.named("checkpoint"), [dnsSettingsScope]);
}
