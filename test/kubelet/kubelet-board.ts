/** A kubelet with a dockerd and an API server. */
import { join } from "node:path";
import { type CacheFiles, openCacheFiles } from "#agent/checkpoint/cache-files.ts";
import { Seal } from "#agent/checkpoint/seal.ts";
import { linuxHost } from "#agent/host/linux-host.ts";
import { Kubelet, type KubeletOptions } from "#agent/kubelet/kubelet.ts";
import { renderMetrics } from "#agent/kubelet/server/metrics/metrics.ts";
import type { DockerRuntime } from "#agent/runtime/docker.ts";
import { isNotFound } from "#shared/api/errors.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import { events, nodes, pods, serviceAccounts } from "#shared/api/resources.ts";
import type { Node, Pod, PodSpec } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { InformerFactory, withoutManagedFields } from "#shared/client/informer.ts";
import { stderrLog } from "#shared/client/log.ts";
import { issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { dockerBoard } from "../support/docker-board.ts";
import { startDockerd, type TestDockerd } from "../support/dockerd.ts";
import { type SecuredServer, type SecuredServerOptions, startSecuredServer } from "../support/secured-server.ts";
import { SeverableClient } from "./severable-client.ts";

export const nodeName = "board";
const log = stderrLog((process.env["TEST_LOG"] as "debug" | undefined) ?? "error");
const patience_ms = 240_000;

export class KubeletBoard {
  kubelet: Kubelet | undefined;
  #caches: CacheFiles | undefined;
  #informers: InformerFactory | undefined;

  private constructor(
    readonly dockerd: TestDockerd,
    readonly server: SecuredServer,
    /** The board's own. */
    readonly client: SeverableClient,
    readonly runtime: DockerRuntime,
    readonly more: Partial<KubeletOptions>,
  ) {}

  /** @param more what this board's kubelet has beside the usual; the board's directory is known by then. */
  static async start(
    more: (directory: string) => Promise<Partial<KubeletOptions>> = async () => ({}),
    options: SecuredServerOptions = {},
  ): Promise<KubeletBoard> {
    const dockerd = await startDockerd();
    const runtime = await dockerBoard(dockerd);
    const server = await startSecuredServer(options);
    const { certificatePem, keyPem } = await issueCertificate(
      server.pki.authorities.ca,
      { commonName: `system:node:${nodeName}`, organizations: ["system:nodes"] },
      [extendedKeyUsages.clientAuth],
    );
    const client = new SeverableClient(server.clientWith({ certificate: certificatePem, key: keyPem }));
    await server.admin.create(serviceAccounts, {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: "default", namespace: "default" },
      automountServiceAccountToken: false,
    });
    const board = new KubeletBoard(dockerd, server, client, runtime, await more(dockerd.directory));
    await board.startKubelet();
    return board;
  }

  /** What drivers know as /var/lib/kubelet. */
  get pluginDir(): string {
    return join(this.dockerd.directory, "k");
  }

  /** Holds the board's /dev and /sys; nothing hangs on it before a test puts it there. */
  get hardware(): string {
    return join(this.dockerd.directory, "hardware");
  }

  /** What its kubelet tells Prometheus. */
  async metrics(): Promise<string> {
    return (this.kubelet && (await renderMetrics("/metrics", this.kubelet))) ?? "";
  }

  get api(): Client {
    return this.server.admin;
  }

  /** @param further what it has beside the usual this time */
  async startKubelet(further: Partial<KubeletOptions> = {}): Promise<void> {
    const seal = await Seal.open(join(this.dockerd.directory, "checkpoint.key"), "test");
    this.#caches = openCacheFiles(this.dockerd.directory, seal, log);
    const checkpoint = this.#caches;
    this.#informers = new InformerFactory(this.client, { transform: withoutManagedFields, log, checkpoint });
    this.kubelet = new Kubelet({
      client: this.client,
      informers: this.#informers,
      seal,
      runtime: this.runtime,
      host: linuxHost(),
      nodeName,
      dataDir: join(this.dockerd.directory, "kubelet"),
      runDir: join(this.dockerd.directory, "run"),
      pluginDir: this.pluginDir,
      hardwareRoot: `${this.hardware}/`,
      clusterDns: ["10.43.0.10"],
      clusterDomain: "cluster.local",
      nodeIPs: () => ["192.0.2.1"],
      log,
      ...this.more,
      ...further,
    });
    await this.kubelet.start();
  }

  async stopKubelet(): Promise<void> {
    await this.kubelet?.stop();
    await this.#informers?.stop();
    await this.#caches?.stop();
  }

  async restartKubelet(): Promise<void> {
    await this.stopKubelet();
    await this.startKubelet();
  }

  /** What a power cut leaves of the board's pods: nothing runs, nothing is mounted. */
  async losePower(): Promise<void> {
    await this.stopKubelet();
    for (const { id } of await this.runtime.listContainers()) await this.runtime.stopContainer(id, 0);
    for (const { id } of await this.runtime.listSandboxes()) await this.runtime.stopSandbox(id);
    for (const folder of [this.pluginDir, join(this.dockerd.directory, "run"), join(this.dockerd.directory, "kubelet")])
      linuxHost().unmountTree(folder, { lazy: true });
  }

  async stop(): Promise<void> {
    await this.stopKubelet();
    linuxHost().unmountTree(this.dockerd.directory, { lazy: true });
    await this.server.stop();
    await this.dockerd.stop();
  }

  /** The first state of an object that is as wanted. */
  async until<T extends { metadata: { name?: string | undefined } }>(
    ref: ResourceRef<T>,
    name: string,
    ready: (object: T) => boolean,
  ): Promise<T> {
    for await (const { object, type } of this.api.watch(ref, {
      fieldSelector: `metadata.name=${name}`,
      sendInitialEvents: true,
      signal: AbortSignal.timeout(patience_ms),
    })) {
      if (type !== "BOOKMARK" && object.metadata.name === name && ready(object)) return object;
    }
    throw new Error(`${ref.plural} ${name} did not become as wanted; events: ${await this.messagesOf(name)}`);
  }

  untilPod(name: string, ready: (pod: Pod) => boolean): Promise<Pod> {
    return this.until(pods, name, ready);
  }

  untilNode(ready: (node: Node) => boolean): Promise<Node> {
    return this.until(nodes, nodeName, ready);
  }

  async remove(name: string): Promise<void> {
    await this.api.delete(pods, { namespace: "default", name });
    await this.untilGone(name);
  }

  async untilGone(name: string): Promise<void> {
    const deadline_ms = performance.now() + patience_ms;
    while (performance.now() < deadline_ms) {
      try {
        await this.api.get(pods, { namespace: "default", name });
      } catch (error) {
        if (isNotFound(error)) return;
        throw error;
      }
      await Bun.sleep(50);
    }
    throw new Error(`the pod ${name} did not go; events: ${await this.messagesOf(name)}`);
  }

  async messagesOf(name: string): Promise<string[]> {
    const { items } = await this.api.list(events, { namespace: "default" });
    return items
      .filter(({ involvedObject }) => involvedObject.name === name)
      .map(({ reason, message }) => `${reason}: ${message}`);
  }

  async reasonsOf(name: string): Promise<string[]> {
    const { items } = await this.api.list(events, { namespace: "default" });
    return items.filter(({ involvedObject }) => involvedObject.name === name).map(({ reason = "" }) => reason);
  }

  /** An event of an object whose text holds `text`. */
  async untilTold(name: string, text: string): Promise<void> {
    const deadline_ms = performance.now() + patience_ms;
    while (performance.now() < deadline_ms) {
      if ((await this.messagesOf(name)).some((message) => message.includes(text))) return;
      await Bun.sleep(100);
    }
    throw new Error(`no event of ${name} says ${text}, but: ${(await this.messagesOf(name)).join("; ")}`);
  }

  async logsOf(name: string, container: string): Promise<string> {
    const found = await this.kubelet?.findContainer("default", name, container);
    if (!found) throw new Error(`no container ${container} in ${name}`);
    const chunks: Buffer[] = [];
    for await (const chunk of await this.runtime.logs(found.id, { follow: false, timestamps: false }))
      chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString("utf8");
  }
}

export function pod(name: string, spec: Partial<PodSpec>): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default" },
    spec: {
      nodeName,
      restartPolicy: "Never",
      terminationGracePeriodSeconds: 2,
      serviceAccountName: "default",
      containers: [],
      ...spec,
    },
  };
}

/** One that is restarted, as a Deployment's; with a label, the cluster's DNS and the environment of Services. */
export const lasting = (name: string, spec: Partial<PodSpec>): Pod => ({
  ...pod(name, { restartPolicy: "Always", dnsPolicy: "ClusterFirst", enableServiceLinks: true, ...spec }),
  metadata: { name, namespace: "default", labels: { app: name } },
});

/** Ends at once when asked to. */
export const wait = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

export const phaseIs =
  (phase: string) =>
  ({ status }: Pod): boolean =>
    status?.phase === phase;

export const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
