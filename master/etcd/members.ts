/** The members of the etcd that Bramble runs itself, asked and changed. */
import type { Log } from "#shared/client/log.ts";
import { type ChannelCredentials, GrpcChannel } from "#shared/grpc/channel.ts";
import { GrpcError } from "#shared/grpc/grpc-error.ts";
import { EtcdCluster } from "../store/etcd/cluster.ts";
import {
  decodeAlarms,
  decodeMembers,
  decodeStatus,
  type EtcdAlarm,
  type EtcdMember,
  empty,
  encodeDisarm,
  encodeLearner,
  encodeMemberId,
  encodeMemberUpdate,
  type MemberList,
  type MemberStatus,
  maintenancePaths as paths,
} from "../store/etcd/maintenance-messages.ts";
import { decodeRange, encodeCompact, encodeRange, paths as keyPaths } from "../store/etcd/messages.ts";
import { clientUrlsOf } from "./files.ts";

export interface EtcdAccess {
  /** Client URLs, `https://host:2379`. */
  readonly endpoints: readonly string[];
  readonly credentials: () => ChannelCredentials;
  readonly log: Log;
}

const change_ms = 8_000;
const look_ms = 3_000;
/** Goes over the whole database. */
const compact_ms = 60_000;
/** A member answers nothing else meanwhile; a full database on a slow card takes its time. */
const defragment_ms = 300_000;

/** Every call rejects with GrpcError where etcd refuses or no member answers. */
export class EtcdMembers {
  readonly #access: EtcdAccess;
  readonly #cluster: EtcdCluster;

  constructor(access: EtcdAccess) {
    this.#access = access;
    this.#cluster = new EtcdCluster(access);
  }

  async list(): Promise<MemberList> {
    return decodeMembers(await this.#cluster.read(paths.memberList, empty));
  }

  /** Adds a member that is to catch up before it votes. */
  async addLearner(peerUrl: string): Promise<void> {
    await this.#cluster.attempt(paths.memberAdd, encodeLearner(peerUrl), change_ms);
  }

  /** Lets a learner vote. etcd refuses until it has caught up. */
  async promote(id: bigint): Promise<void> {
    await this.#cluster.attempt(paths.memberPromote, encodeMemberId(id), change_ms);
  }

  async remove(id: bigint): Promise<void> {
    await this.#cluster.attempt(paths.memberRemove, encodeMemberId(id), change_ms);
  }

  async setPeerUrl(id: bigint, peerUrl: string): Promise<void> {
    await this.#cluster.attempt(paths.memberUpdate, encodeMemberUpdate(id, peerUrl), change_ms);
  }

  async alarms(): Promise<EtcdAlarm[]> {
    return decodeAlarms(await this.#cluster.read(paths.alarm, empty));
  }

  async disarm(alarm: EtcdAlarm): Promise<void> {
    await this.#cluster.attempt(paths.alarm, encodeDisarm(alarm), change_ms);
  }

  /** Forgets all history, and waits until its space can be used again. */
  async compactNow(): Promise<void> {
    const revision = (await this.#revision()) - 1;
    try {
      await this.#cluster.attempt(keyPaths.compact, encodeCompact(revision, true), compact_ms);
    } catch (error) {
      // Somebody else has.
      if (!(error instanceof GrpcError && error.message.includes("has been compacted"))) throw error;
    }
  }

  async #revision(): Promise<number> {
    return decodeRange(await this.#cluster.read(keyPaths.range, encodeRange({ key: "compact_rev_key" }))).revision;
  }

  status(endpoint: string): Promise<MemberStatus> {
    return this.#on(endpoint, async (channel) => decodeStatus(await channel.unary(paths.status, empty, look_ms)));
  }

  defragment(endpoint: string): Promise<void> {
    return this.#on(endpoint, async (channel) => void (await channel.unary(paths.defragment, empty, defragment_ms)));
  }

  /** Does this member reach a majority? A learner is well when it answers at all. */
  async isHealthy(member: EtcdMember): Promise<boolean> {
    if (member.clientUrls.length === 0) return false;
    for (const endpoint of clientUrlsOf(member)) if (await this.#isHealthyAt(endpoint, member)) return true;
    return false;
  }

  async #isHealthyAt(endpoint: string, { isLearner }: EtcdMember): Promise<boolean> {
    try {
      if (isLearner) await this.status(endpoint);
      else
        await this.#on(endpoint, (channel) => channel.unary(keyPaths.range, encodeRange({ key: "health" }), look_ms));
      return true;
    } catch (error) {
      if (error instanceof GrpcError) return false;
      throw error;
    }
  }

  async #on<T>(endpoint: string, call: (channel: GrpcChannel) => Promise<T>): Promise<T> {
    const channel = new GrpcChannel({
      endpoint: new URL(endpoint),
      credentials: this.#access.credentials,
      pings: true,
    });
    try {
      return await call(channel);
    } finally {
      channel.close();
    }
  }

  close(): void {
    this.#cluster.close();
  }
}
