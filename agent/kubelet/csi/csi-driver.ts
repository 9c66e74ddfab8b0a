import { GrpcChannel } from "#shared/grpc/channel.ts";
import { GrpcError } from "#shared/grpc/grpc-error.ts";
import type { MessageOf } from "#shared/grpc/message.ts";
import { socketUrl } from "#shared/grpc/socket-url.ts";
import {
  csiPaths,
  Empty,
  NodeExpandVolumeRequest,
  NodeExpandVolumeResponse,
  NodeGetCapabilitiesResponse,
  NodeGetInfoResponse,
  NodeGetVolumeStatsRequest,
  NodeGetVolumeStatsResponse,
  type NodeInfo,
  NodePublishVolumeRequest,
  NodeStageVolumeRequest,
  NodeUnpublishVolumeRequest,
  NodeUnstageVolumeRequest,
} from "./csi-messages.ts";

/** Upstream's: a driver may format or check a whole file system meanwhile. */
const call_ms = 120_000;

/** The node service of one CSI driver on this board. Every call rejects with Error, worded as Go's clients do. */
export class CsiDriver {
  #capabilities: Promise<ReadonlySet<number>> | undefined;

  constructor(
    readonly name: string,
    /** Path of the driver's socket. */
    readonly endpoint: string,
  ) {}

  async info(): Promise<NodeInfo> {
    return NodeGetInfoResponse.decode(await this.#call(csiPaths.getInfo, Empty.encode({})));
  }

  /** Does the driver say that it can? Asked once. */
  async can(capability: number): Promise<boolean> {
    this.#capabilities ??= this.#askCapabilities();
    try {
      return (await this.#capabilities).has(capability);
    } catch (error) {
      this.#capabilities = undefined;
      throw error;
    }
  }

  async #askCapabilities(): Promise<ReadonlySet<number>> {
    const answer = await this.#call(csiPaths.getCapabilities, Empty.encode({}));
    return new Set(NodeGetCapabilitiesResponse.decode(answer).capabilities.map(({ rpc }) => rpc?.type ?? 0));
  }

  async stage(request: Partial<MessageOf<typeof NodeStageVolumeRequest>>): Promise<void> {
    await this.#call(csiPaths.stage, NodeStageVolumeRequest.encode(request));
  }

  async unstage(volumeId: string, stagingTargetPath: string): Promise<void> {
    await this.#call(csiPaths.unstage, NodeUnstageVolumeRequest.encode({ volumeId, stagingTargetPath }));
  }

  async publish(request: Partial<MessageOf<typeof NodePublishVolumeRequest>>): Promise<void> {
    await this.#call(csiPaths.publish, NodePublishVolumeRequest.encode(request));
  }

  async unpublish(volumeId: string, targetPath: string): Promise<void> {
    await this.#call(csiPaths.unpublish, NodeUnpublishVolumeRequest.encode({ volumeId, targetPath }));
  }

  /** The size that the volume has now, in bytes. */
  async expand(request: Partial<MessageOf<typeof NodeExpandVolumeRequest>>): Promise<number> {
    const answer = await this.#call(csiPaths.expand, NodeExpandVolumeRequest.encode(request));
    return NodeExpandVolumeResponse.decode(answer).capacityBytes;
  }

  async stats(
    request: MessageOf<typeof NodeGetVolumeStatsRequest>,
  ): Promise<MessageOf<typeof NodeGetVolumeStatsResponse>> {
    return NodeGetVolumeStatsResponse.decode(
      await this.#call(csiPaths.stats, NodeGetVolumeStatsRequest.encode(request)),
    );
  }

  /** A connection for each call: between calls, which are rare, it would only hold memory at both ends. */
  async #call(path: string, request: Buffer): Promise<Buffer> {
    const channel = new GrpcChannel({ endpoint: socketUrl(this.endpoint) });
    try {
      return await channel.unary(path, request, call_ms);
    } catch (error) {
      if (error instanceof GrpcError) throw new Error(error.description, { cause: error });
      throw error;
    } finally {
      channel.close();
    }
  }
}
