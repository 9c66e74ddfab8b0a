import type { Seal } from "#agent/checkpoint/seal.ts";
import type { Host } from "#agent/host/host.ts";
import type { ContainerRuntime } from "#agent/runtime/runtime.ts";
import type { Taint } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import type { EventRecorder } from "#shared/client/event-recorder.ts";
import type { InformerFactory } from "#shared/client/informer.ts";
import type { Log } from "#shared/client/log.ts";
import type { PodCgroupSettings } from "./cgroups/pod-cgroups.ts";
import type { Placement } from "./cpus/cpu-settings.ts";
import type { CredentialProviders } from "./images/credential-providers.ts";
import type { ImageGarbageRules } from "./images/image-gc.ts";
import type { ImageVerification } from "./images/pull-records.ts";
import type { KubeletTuning } from "./kubelet-tuning.ts";
import type { EvictionRules } from "./node/eviction-rules.ts";
import type { Reserved } from "./node/node-status.ts";
import type { PriorityGrace } from "./shutdown/grace-periods.ts";

export interface KubeletOptions {
  readonly client: Client;
  readonly runtime: ContainerRuntime;
  readonly host: Host;
  readonly nodeName: string;
  /** Pods' volumes and the checkpoint: `pods/`, `checkpoint/`. */
  readonly dataDir: string;
  /** Closes Secrets on the card. */
  readonly seal: Seal;
  /** What a reboot may forget: `pods/`. */
  readonly runDir: string;
  /** Where CSI drivers and device plug-ins look for a kubelet: /var/lib/kubelet. The board takes none when absent. */
  readonly pluginDir?: string | undefined;
  /** How long what a driver of dynamic resources offers stays when it has gone; upstream's half a minute when absent. */
  readonly sliceGrace_ms?: number | undefined;
  /** Where /dev and /sys are, for what hangs on the board; "/" when absent. */
  readonly hardwareRoot?: string | undefined;
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  /** The board's addresses, the main one first. Asked whenever they are needed: DHCP may change them. */
  nodeIPs(): readonly string[];
  /** Where others in this process follow the API too; one of its own when absent. */
  readonly informers?: InformerFactory | undefined;
  readonly recorder?: EventRecorder | undefined;
  readonly log?: Log | undefined;
  readonly nodeLabels?: Readonly<Record<string, string>> | undefined;
  readonly nodeTaints?: readonly Taint[] | undefined;
  /** Folder of image archives that are read at the start; none when absent. */
  readonly imagesFolder?: string | undefined;
  /** Folder of manifests of static pods; none when absent. */
  readonly staticPodsFolder?: string | undefined;
  /** Where logs of pods are linked for log collectors: /var/log. None when absent. */
  readonly logFolder?: string | undefined;
  readonly maxPods?: number | undefined;
  readonly kubeletPort?: number | undefined;
  /** How pods get control groups of their own; they get none when absent. */
  readonly cgroups?: PodCgroupSettings | undefined;
  readonly reserved?: Reserved | undefined;
  /** When pods go because the board runs short; upstream's defaults when absent. */
  readonly eviction?: EvictionRules | undefined;
  readonly resolvConf?: string | undefined;
  readonly tuning?: KubeletTuning | undefined;
  /** On which CPUs containers run; on all when absent. */
  readonly placement?: Placement | undefined;
  /** Which images go when; upstream's defaults when absent. */
  readonly imageRules?: ImageGarbageRules | undefined;
  /** Who may use images that are on the board; as by default when absent. */
  readonly imageVerification?: ImageVerification | undefined;
  /** Exec plugins that know credentials of registries. */
  readonly credentialProviders?: CredentialProviders | undefined;
  /** What keeps pods from starting beside the runtime, such as a missing pod network; empty when nothing does. */
  readonly troubles?: (() => readonly string[]) | undefined;
  /** Called when a pod of the board has another status than before. */
  readonly onPodStatus?: (() => void) | undefined;
  /** How long pods have to end when the board shuts down, by priority; they are left alone when there is none. */
  readonly shutdown?: readonly PriorityGrace[] | undefined;
  /** The system bus' socket, and where logind is told to wait longer; the system's own when absent. */
  readonly logind?: { readonly busPath: string; readonly configPath: string } | undefined;
  /** How long the container runtime may take over an answer before the board is not ready; upstream's two minutes when absent. */
  readonly runtimePatience_ms?: number | undefined;
  /** How long to wait for the API before pods start from the checkpoint. */
  readonly offlineAfter_ms?: number | undefined;
}
