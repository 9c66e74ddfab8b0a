import type { PersistentVolumeSpec, Pod, Volume } from "#shared/api/types/core-v1.generated.ts";
import { gaugeFamily } from "#shared/metrics/process-families.ts";
import type { Family } from "#shared/metrics/prometheus-text.ts";
import { HistogramTable } from "#shared/metrics/tables.ts";
import { isTerminalPhase, mountedVolumes, podUid } from "../pod-containers.ts";
import { podClaimOf } from "./persistent-volume.ts";
import { VolumePending } from "./volume-error.ts";

const operation_s = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600];
const unknown = "N/A";

const kinds: Readonly<Record<string, string>> = {
  configMap: "configmap",
  secret: "secret",
  downwardAPI: "downward-api",
  projected: "projected",
  emptyDir: "empty-dir",
  hostPath: "host-path",
  nfs: "nfs",
  image: "image",
  local: "local-volume",
};

/** Upstream's name of what serves a volume; undefined where the volume behind a claim has to be known first. */
export function pluginOf(source: Volume | PersistentVolumeSpec): string | undefined {
  if (source.csi) return `kubernetes.io/csi:${source.csi.driver}`;
  const found = Object.entries(kinds).find(([field]) => (source as unknown as Record<string, unknown>)[field]);
  return found && `kubernetes.io/${found[1]}`;
}

/** The plugin behind a claim, as it was last known on this board. */
export type KnownPlugin = (pod: Pod, claim: string) => Promise<string | undefined>;

/** How long volumes take, and how many pods want and have, under upstream's names. */
export class VolumeCounts {
  readonly #operations = new HistogramTable(
    {
      name: "storage_operation_duration_seconds",
      help: "How long it took to bring a volume, or take those of a pod away, each by what serves it.",
      labels: ["volume_plugin", "operation_name", "status", "migrated"],
    },
    operation_s,
  );
  /** What serves the volumes that pods have, by the pod's UID and the volume's name. */
  readonly #mounted = new Map<string, Map<string, string>>();
  /** What serves the volumes behind claims of pods, likewise. */
  readonly #behindClaims = new Map<string, Map<string, string>>();

  /** Notes what serves the volume behind a pod's claim. */
  resolved(uid: string, volume: string, plugin: string | undefined): void {
    put(this.#behindClaims, uid, volume, plugin ?? unknown);
  }

  /** Runs and measures how a volume is brought. Waiting until one is attached is somebody else's work. */
  async mounting<T>(pod: Pod, volume: Volume, run: () => Promise<T>): Promise<T> {
    const uid = podUid(pod);
    const began_ms = performance.now();
    const plugin = (): string => pluginOf(volume) ?? this.#behindClaims.get(uid)?.get(volume.name) ?? unknown;
    try {
      const result = await run();
      this.#observe(plugin(), "volume_mount", "success", began_ms);
      put(this.#mounted, uid, volume.name, plugin());
      return result;
    } catch (error) {
      if (!(error instanceof VolumePending)) this.#observe(plugin(), "volume_mount", "fail-unknown", began_ms);
      throw error;
    }
  }

  /** Runs and measures how all volumes of a pod are taken away. */
  async unmounting(uid: string, run: () => Promise<void>): Promise<void> {
    const began_ms = performance.now();
    const plugins = [...(this.#mounted.get(uid)?.values() ?? [])];
    try {
      await run();
    } catch (error) {
      for (const plugin of plugins) this.#observe(plugin, "volume_unmount", "fail-unknown", began_ms);
      throw error;
    }
    for (const plugin of plugins) this.#observe(plugin, "volume_unmount", "success", began_ms);
    this.#mounted.delete(uid);
    this.#behindClaims.delete(uid);
  }

  /** @param known asked once for a claim that was mounted by an earlier run of the agent */
  async families(pods: readonly Pod[], known: KnownPlugin): Promise<Family[]> {
    const counts = new Map<string, { labels: { plugin_name: string; state: string }; value: number }>();
    const count = (plugin_name: string, state: string): void => {
      const key = `${state}/${plugin_name}`;
      const present = counts.get(key);
      if (present) present.value += 1;
      else counts.set(key, { labels: { plugin_name, state }, value: 1 });
    };
    for (const pod of pods)
      for (const volume of mountedVolumes(pod.spec)) {
        const plugin = pluginOf(volume) ?? (await this.#behindClaim(pod, volume, known));
        if (!isTerminalPhase(pod.status?.phase)) count(plugin, "desired_state_of_world");
        // A container runs only with all volumes there, whoever brought them.
        if (this.#mounted.get(podUid(pod))?.has(volume.name) || hasRun(pod)) count(plugin, "actual_state_of_world");
      }
    return [
      this.#operations.family(),
      gaugeFamily("volume_manager_total_volumes", "Volumes that pods want, and that they have.", [...counts.values()]),
    ];
  }

  async #behindClaim(pod: Pod, volume: Volume, known: KnownPlugin): Promise<string> {
    const uid = podUid(pod);
    const noted = this.#behindClaims.get(uid)?.get(volume.name);
    if (noted !== undefined) return noted;
    const claim = podClaimOf(pod, volume);
    const plugin = claim && (await known(pod, claim.name));
    if (plugin !== undefined) this.resolved(uid, volume.name, plugin);
    return plugin ?? unknown;
  }

  #observe(plugin: string, operation: string, status: string, began_ms: number): void {
    this.#operations.observe((performance.now() - began_ms) / 1000, [plugin, operation, status, "false"]);
  }
}

function put(into: Map<string, Map<string, string>>, uid: string, volume: string, plugin: string): void {
  const known = into.get(uid);
  if (known) known.set(volume, plugin);
  else into.set(uid, new Map([[volume, plugin]]));
}

const hasRun = ({ status }: Pod): boolean =>
  [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])].some(({ state }) => state?.running);
