/** A CSI driver for tests: volumes are folders, staged and published by bind mounts; a block volume is a device node. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { linuxHost } from "#agent/host/linux-host.ts";
import {
  csiPaths,
  Empty,
  NodeExpandVolumeRequest,
  NodeExpandVolumeResponse,
  NodeGetCapabilitiesResponse,
  NodeGetInfoResponse,
  NodeGetVolumeStatsRequest,
  NodeGetVolumeStatsResponse,
  NodePublishVolumeRequest,
  NodeStageVolumeRequest,
  NodeUnpublishVolumeRequest,
  NodeUnstageVolumeRequest,
  nodeCapabilities,
} from "#agent/kubelet/csi/csi-messages.ts";
import { PluginInfo, RegistrationStatus, registrationPaths } from "#agent/kubelet/plugins/plugin-registration.ts";
import { GrpcCode, GrpcError } from "#shared/grpc/grpc-error.ts";
import type { MessageOf } from "#shared/grpc/message.ts";
import { GrpcServer, type GrpcServerOptions } from "#shared/grpc/server.ts";
import type { CsiTestController } from "./csi-controller.ts";

export interface CsiTestDriverOptions {
  readonly name: string;
  /** The kubelet's folder. */
  readonly root: string;
  /** Where its volumes are. */
  readonly data: string;
  readonly topology?: Readonly<Record<string, string>>;
  readonly capabilities?: readonly number[];
  /** Served at the same socket. */
  readonly controller?: CsiTestController;
  /** What it says of every volume. */
  readonly usage?: MessageOf<typeof NodeGetVolumeStatsResponse>["usage"];
}

const { stageUnstage, expand } = nodeCapabilities;

/** What the driver calls the board. */
export const testNodeId = "node-of-test";

export class CsiTestDriver {
  readonly calls: string[] = [];
  readonly published: MessageOf<typeof NodePublishVolumeRequest>[] = [];
  readonly staged: MessageOf<typeof NodeStageVolumeRequest>[] = [];
  readonly expanded: MessageOf<typeof NodeExpandVolumeRequest>[] = [];
  /** What the kubelet said of the registration. */
  readonly verdicts: MessageOf<typeof RegistrationStatus>[] = [];
  /** Publishing fails with this, while it is set. */
  refusal: GrpcError | undefined;
  /** How it finds its volumes. */
  condition = { abnormal: false, message: "" };
  readonly #servers: GrpcServer[] = [];
  readonly #host = linuxHost();

  constructor(readonly options: CsiTestDriverOptions) {}

  get endpoint(): string {
    return join(this.options.root, "plugins", this.options.name, "csi.sock");
  }

  async start(): Promise<void> {
    const { name, root } = this.options;
    mkdirSync(dirname(this.endpoint), { recursive: true });
    const node = new GrpcServer({ unary: { ...this.#methods(), ...this.options.controller?.methods() } });
    await node.listenUnix(this.endpoint);
    const info = { type: "CSIPlugin", name, endpoint: this.endpoint, supportedVersions: ["1.0.0"] };
    const registrar = new GrpcServer({
      unary: {
        [registrationPaths.getInfo]: () => PluginInfo.encode(info),
        [registrationPaths.notify]: (request) => {
          this.verdicts.push(RegistrationStatus.decode(request));
          return Empty.encode({});
        },
      },
    });
    mkdirSync(join(root, "plugins_registry"), { recursive: true });
    await registrar.listenUnix(join(root, "plugins_registry", `${name}-reg.sock`));
    this.#servers.push(registrar, node);
  }

  async stop(): Promise<void> {
    for (const server of this.#servers.splice(0)) await server.stop();
  }

  #methods(): NonNullable<GrpcServerOptions["unary"]> {
    const { topology, capabilities = [stageUnstage, expand] } = this.options;
    return {
      [csiPaths.getInfo]: () =>
        NodeGetInfoResponse.encode({
          nodeId: testNodeId,
          maxVolumesPerNode: 7,
          accessibleTopology: topology ? { segments: topology } : undefined,
        }),
      [csiPaths.getCapabilities]: () =>
        NodeGetCapabilitiesResponse.encode({ capabilities: capabilities.map((type) => ({ rpc: { type } })) }),
      [csiPaths.stage]: (request) => this.#stage(NodeStageVolumeRequest.decode(request)),
      [csiPaths.unstage]: (request) => {
        const { volumeId, stagingTargetPath } = NodeUnstageVolumeRequest.decode(request);
        this.calls.push(`unstage ${volumeId}`);
        this.#host.unmountTree(stagingTargetPath, { lazy: false });
        return Empty.encode({});
      },
      [csiPaths.publish]: (request) => this.#publish(NodePublishVolumeRequest.decode(request)),
      [csiPaths.unpublish]: (request) => {
        const { volumeId, targetPath } = NodeUnpublishVolumeRequest.decode(request);
        this.calls.push(`unpublish ${volumeId}`);
        this.#host.unmountTree(targetPath, { lazy: false });
        rmSync(targetPath, { recursive: true, force: true });
        return Empty.encode({});
      },
      [csiPaths.stats]: (request) => {
        const { volumeId, volumePath } = NodeGetVolumeStatsRequest.decode(request);
        this.calls.push(`stats ${volumeId}`);
        if (!existsSync(volumePath)) throw new GrpcError(GrpcCode.NotFound, `no volume at ${volumePath}`, true);
        const condition = this.condition;
        return NodeGetVolumeStatsResponse.encode({ usage: this.options.usage ?? [], condition });
      },
      [csiPaths.expand]: (request) => {
        const asked = NodeExpandVolumeRequest.decode(request);
        this.expanded.push(asked);
        return NodeExpandVolumeResponse.encode({ capacityBytes: asked.capacityRange?.requiredBytes ?? 0 });
      },
    };
  }

  #folderOf(volumeId: string): string {
    const folder = join(this.options.data, volumeId);
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  #stage(request: MessageOf<typeof NodeStageVolumeRequest>): Buffer {
    this.calls.push(`stage ${request.volumeId}`);
    this.staged.push(request);
    if (!existsSync(request.stagingTargetPath)) throw new GrpcError(GrpcCode.NotFound, "no staging folder", true);
    if (request.volumeCapability?.mount)
      this.#host.bindMount(this.#folderOf(request.volumeId), request.stagingTargetPath);
    return Empty.encode({});
  }

  #publish(request: MessageOf<typeof NodePublishVolumeRequest>): Buffer {
    this.calls.push(`publish ${request.volumeId}`);
    this.published.push(request);
    if (this.refusal) throw this.refusal;
    const { volumeId, targetPath, stagingTargetPath, readonly, volumeCapability } = request;
    if (volumeCapability?.block) {
      writeFileSync(targetPath, "");
      const device = join(this.options.data, `${volumeId}.device`);
      if (!existsSync(device)) Bun.spawnSync(["mknod", device, "b", "7", "200"]);
      this.#host.bindMount(device, targetPath);
    } else if (!this.#host.isMountPoint(targetPath)) {
      mkdirSync(targetPath, { recursive: true });
      const source = stagingTargetPath === "" ? this.#folderOf(volumeId) : stagingTargetPath;
      this.#host.bindMount(source, targetPath, { readOnly: readonly });
    }
    return Empty.encode({});
  }
}
