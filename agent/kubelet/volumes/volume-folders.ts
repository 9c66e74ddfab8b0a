import { join } from "node:path";
import type { Volume } from "#shared/api/types/core-v1.generated.ts";

/** Where this board keeps what its pods have, by UID of the pod. */
export class PodFolders {
  constructor(
    readonly podsFolder: string,
    readonly volatileFolder: string,
  ) {}

  /** What outlives a reboot. */
  lasting(podUid: string): string {
    return join(this.podsFolder, podUid);
  }

  /** In memory. */
  volatile(podUid: string): string {
    return join(this.volatileFolder, podUid);
  }

  /** The lasting and the volatile one. */
  both(podUid: string): readonly [string, string] {
    return [this.lasting(podUid), this.volatile(podUid)];
  }
}

/** Folder of one volume in a pod's folder, by its plugin, as upstream lays it out. */
export const volumeFolder = (podFolder: string, kind: string, name: string): string =>
  join(podFolder, "volumes", `kubernetes.io~${kind}`, name);

/** The plugin, as upstream names it, of a volume whose files come from the API. */
export function payloadKind({ configMap, secret, downwardAPI, projected }: Volume): string | undefined {
  if (configMap) return "configmap";
  if (secret) return "secret";
  if (downwardAPI) return "downward-api";
  return projected ? "projected" : undefined;
}
