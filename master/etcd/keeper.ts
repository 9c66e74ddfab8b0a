/** Looks after this board's member of etcd while its master runs. Each master looks after its own. */

import type { Log } from "#shared/client/log.ts";
import { GrpcError } from "#shared/grpc/grpc-error.ts";
import type { Part } from "#shared/process/parts.ts";
import type { EtcdMember } from "../store/etcd/maintenance-messages.ts";
import { clientUrl, clientUrlsOf, etcdCredentials, keepEtcd, knownEtcd, knownMembers, peerUrl } from "./files.ts";
import { hasRoom, planUpkeep, type Upkeep } from "./member-plan.ts";
import { EtcdMembers } from "./members.ts";
import { ensureEtcdCertificates } from "./prepare.ts";

export interface EtcdKeeperOptions {
  readonly dataDir: string;
  /** Of this board, as it is at the moment. */
  readonly address: () => string;
  readonly quota_bytes: number;
  readonly log: Log;
}

/** While something is being done, and else. */
const busy_ms = 5_000;
const quiet_ms = 60_000;
const usualMembers = 3;
/** A member that defragments answers nothing: in each turn one may. */
const turn_ms = 10 * 60_000;

export interface EtcdKeeper extends Part {
  /** Tells etcd of this board's new address, without waiting for the next look. */
  addressChanged(): Promise<void>;
}

export function startKeeper(options: EtcdKeeperOptions): EtcdKeeper {
  const { log } = options;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  let running: Promise<void> = Promise.resolve();
  const round = async (): Promise<void> => {
    let isBusy = true;
    try {
      isBusy = await lookAfter(options);
    } catch (error) {
      log.info("this board's member of etcd could not be looked after", { error });
    }
    if (!stopped) schedule(isBusy ? busy_ms : quiet_ms);
  };
  const schedule = (after_ms: number): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      running = round();
    }, after_ms);
  };
  schedule(busy_ms);
  return {
    async addressChanged() {
      // Whoever asks etcd next finds it, this master's store first.
      await noteOwn(options);
      await running;
      if (!stopped) schedule(0);
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}

/** The certificates, which etcd reads anew for each connection, and the list of whom to ask name this board's address. */
async function noteOwn({ dataDir, address }: EtcdKeeperOptions): Promise<void> {
  await ensureEtcdCertificates(dataDir, address());
  const { members, cluster } = knownEtcd(dataDir);
  await keepEtcd(dataDir, { members: [clientUrl(address()), ...members], cluster });
}

/** One look and at most one step. True: another look should follow soon. */
async function lookAfter(options: EtcdKeeperOptions): Promise<boolean> {
  const { dataDir, quota_bytes, log } = options;
  await noteOwn(options);
  const address = options.address();
  const endpoint = clientUrl(address);
  const members = new EtcdMembers({
    endpoints: knownMembers(dataDir),
    credentials: () => etcdCredentials(dataDir),
    log,
  });
  try {
    const { members: present, cluster } = await members.list();
    await keepEtcd(dataDir, {
      members: [endpoint, ...present.flatMap(clientUrlsOf)],
      cluster: cluster.toString(16),
    });
    const status = await members.status(endpoint);
    const member = present.find(({ id }) => id === status.id);
    if (!member) throw new Error("this board's etcd is no member of the cluster any more");
    const step = planUpkeep({
      member,
      status,
      peerUrl: peerUrl(address),
      alarms: await members.alarms(),
      quota_bytes,
      mayPause: isTurnOf(member, present),
    });
    // Of few members a master must know the next soon: it is all that is left when its own dies.
    if (!step) return present.length < usualMembers || present.some(({ name }) => name === "");
    await take(step, { members, member, endpoint, address, quota_bytes, log });
    return step.kind === "promote" || step.kind === "set-peer-url";
  } finally {
    members.close();
  }
}

/** By the clock, which need not be exact: two that pause at once only cost a moment of writes. */
function isTurnOf(member: EtcdMember, members: readonly EtcdMember[]): boolean {
  const ids = members.map(({ id }) => id).sort((a, b) => (a < b ? -1 : 1));
  return ids[Math.floor(Date.now() / turn_ms) % ids.length] === member.id;
}

interface StepContext {
  readonly members: EtcdMembers;
  readonly member: EtcdMember;
  readonly endpoint: string;
  readonly address: string;
  readonly quota_bytes: number;
  readonly log: Log;
}

async function take(step: Upkeep, context: StepContext): Promise<void> {
  const { members, member, endpoint, address, log } = context;
  switch (step.kind) {
    case "promote":
      try {
        await members.promote(member.id);
        log.info("this board's member of etcd has caught up and votes now");
      } catch (error) {
        if (!(error instanceof GrpcError)) throw error;
        log.info("this board's member of etcd catches up", { error });
      }
      return;
    case "set-peer-url":
      await members.setPeerUrl(member.id, peerUrl(address));
      log.info("etcd was told this board's new address", { address });
      return;
    case "defragment":
      await defragment(context);
      return;
    case "make-room":
      log.warn("etcd is full and refuses writes: forgetting its history and making its file small");
      await members.compactNow();
      await defragment(context);
      if (hasRoom(await members.status(endpoint), context.quota_bytes)) {
        if (step.alarm) await members.disarm(step.alarm);
        log.warn("etcd has room again");
      } else {
        log.error(
          "etcd is full of objects and refuses new ones: delete some, or raise --etcd-quota on every master and restart bramble-etcd there, one after another",
          { quota_bytes: context.quota_bytes },
        );
      }
      return;
    default:
      throw new Error(`no way to ${step satisfies never}`);
  }
}

async function defragment({ members, endpoint, log }: StepContext): Promise<void> {
  const before = await members.status(endpoint);
  await members.defragment(endpoint);
  const after = await members.status(endpoint);
  log.info("etcd's file was made small", { from_bytes: before.size_bytes, to_bytes: after.size_bytes });
}
