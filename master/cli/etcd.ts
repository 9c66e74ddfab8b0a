/** `bramble etcd`: this board's member of the etcd that Bramble runs, and looking after all of them by hand. */
import { existsSync, mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { asPodsFolder } from "#shared/board/component-pod.ts";
import { type Log, stderrLog } from "#shared/client/log.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { GrpcError } from "#shared/grpc/grpc-error.ts";
import { become } from "#shared/process/become.ts";
import { endProgram } from "#shared/process/end-program.ts";
import { noteProcess } from "#shared/process/process-note.ts";
import { clientUrlsOf, etcdCredentials, etcdPaths, knownMembers, ownClientUrl } from "../etcd/files.ts";
import { nameOf, reasonToStay, type SeenMember } from "../etcd/member-plan.ts";
import { EtcdMembers } from "../etcd/members.ts";
import { prepareEtcd } from "../etcd/prepare.ts";
import { joinedSettings, settingsFile } from "../join/control-plane.ts";
import { advertisedAddress } from "../own-address.ts";
import type { EtcdMember } from "../store/etcd/maintenance-messages.ts";
import { isOwnEtcd } from "../store/store-choice.ts";
import { UserError } from "./admin-client.ts";

/** Makes what the member needs, joins the others where there are some, and becomes etcd. */
export async function runEtcd(given: MasterSettings): Promise<void> {
  const log = stderrLog(given.logLevel).named("etcd");
  const program = Bun.which("etcd");
  if (program === null) throw new UserError("there is no etcd on this board: sudo apt-get install etcd-server");
  mkdirSync(given.dataDir, { recursive: true, mode: 0o700 });
  const settings = await joinedSettings(given, log);
  if (!isOwnEtcd(settings.store)) {
    // Of sqlite, it may be about to move here.
    if (settings.store !== "sqlite")
      throw new UserError(`this master's store is ${settings.store}, no etcd that Bramble runs: that is --store etcd`);
    log.warn("this master keeps its state in sqlite yet; `bramble store move etcd` brings it here");
  }
  await prepareEtcd(settings, advertisedAddress(settings), log);
  // The same process goes on as etcd.
  noteProcess(settings.runDir, "etcd");
  log.info("starting", { program, config: join(settings.dataDir, etcdPaths.config) });
  become(program, ["--config-file", join(settings.dataDir, etcdPaths.config)], {
    PATH: process.env["PATH"] ?? "",
    // The distribution's etcd refuses to start there without it.
    ...(process.arch === "arm64" ? { ETCD_UNSUPPORTED_ARCH: "arm64" } : {}),
  });
}

/** `bramble etcd ready`: waits until this board's member is one that votes. Throws UserError where it does not become one. */
export async function awaitMember(settings: MasterSettings, patience_s: number): Promise<void> {
  const deadline_ms = performance.now() + patience_s * 1000;
  for (;;) {
    const state = await memberState(settings.dataDir);
    if (state === "votes") return;
    if (performance.now() >= deadline_ms) throw new UserError(`this board's member of etcd ${state}`);
    await Bun.sleep(look_ms);
  }
}

const look_ms = 1_000;

async function memberState(dataDir: string): Promise<string> {
  // A first start makes the file that says it.
  const own = ownClientUrl(dataDir);
  try {
    return await withMembers(dataDir, async (_, seen) => {
      const found = seen.find(({ member }) => isAt(member, own));
      if (!found) return "has not started";
      if (found.member.isLearner) return "catches up";
      return found.isHealthy ? "votes" : "does not answer";
    });
  } catch (error) {
    if (error instanceof GrpcError || error instanceof UserError) return `is not reached: ${error.message}`;
    throw error;
  }
}

const isAt = ({ clientUrls }: EtcdMember, url: string | undefined): boolean =>
  url !== undefined && clientUrls.includes(url);

/** Names of the members on other boards. */
export async function otherMembers(dataDir: string): Promise<string[]> {
  const own = ownClientUrl(dataDir);
  return withMembers(dataDir, async (_, seen) =>
    seen.filter(({ member }) => !isAt(member, own)).map(({ member }) => nameOf(member)),
  );
}

/** Lists the members. */
export async function printMembers({ dataDir }: MasterSettings): Promise<void> {
  for (const line of await describeMembers(dataDir)) console.log(line);
}

/** Takes a member out whose board is lost. */
export async function removeMember(settings: MasterSettings, name: string): Promise<void> {
  await whenAllowed(settings.dataDir, undefined, async (members, seen) => {
    const matching = seen.filter(({ member }) => nameOf(member) === name || member.id.toString(16) === name);
    const [found] = matching;
    if (!found || matching.length > 1) {
      throw new UserError(
        `no one member is named ${name}; there are: ${seen.map(({ member }) => nameOf(member)).join(", ")}`,
      );
    }
    if (isAt(found.member, ownClientUrl(settings.dataDir)))
      throw new UserError("that is this board's member: `bramble master leave` takes this master out");
    const why = reasonToStay(seen, found.member.id);
    if (why !== undefined) throw new NotNowError(`${name} cannot be taken out: ${why}`);
    await members.remove(found.member.id);
    console.log(`${name} is no member of etcd any more. To bring its board back, install it anew as a master`);
  });
}

export interface MasterLeave {
  readonly settings: MasterSettings;
  /** Moves this board's pods away, ends the master and deletes the Node, with the help of these API servers; undefined for a
   *  master without an agent. */
  readonly leaveBoard: ((servers: readonly string[]) => Promise<void>) | undefined;
}

/** `bramble master leave`: takes this master, its board and its member of etcd out of the cluster. Can be run again. */
export async function leaveMasters({ settings, leaveBoard }: MasterLeave): Promise<void> {
  const { dataDir, runDir } = settings;
  // Ended, this program would leave them running.
  if (existsSync(join(dataDir, asPodsFolder)))
    throw new UserError(
      "this master's components are pods: start it without --as-pods (and `bramble etcd` beside it), then it can leave",
    );
  const own = ownClientUrl(dataDir);
  const others = knownMembers(dataDir).filter((url) => url !== own);
  if (others.length === 0) throw new UserError("this is the only master: bramble-uninstall.sh ends the cluster");
  await whenAllowed(dataDir, others, async (_, seen) => assertMayLeave(seen, own));
  // Every other member stands beside a master.
  await leaveBoard?.(others.map((url) => `https://${new URL(url).host.replace(/:\d+$/, `:${settings.httpsPort}`)}`));
  await endProgram("master", runDir);
  await whenAllowed(dataDir, others, async (members, seen) => {
    const found = assertMayLeave(seen, own);
    if (found) await members.remove(found.member.id);
  });
  await endProgram("etcd", runDir);
  await forgetMaster(settings);
  console.log("this master has left the cluster. `bramble-uninstall.sh` removes Bramble from this board");
}

/** Gives the member; undefined when it is out already. Throws UserError. */
function assertMayLeave(seen: readonly SeenMember[], url: string | undefined): SeenMember | undefined {
  const found = seen.find(({ member }) => isAt(member, url));
  const why = found && reasonToStay(seen, found.member.id);
  if (why !== undefined) throw new NotNowError(`this master cannot leave: ${why}`);
  return found;
}

/** What made this board a master: the others hold the cluster, and its keys rest on masters alone. With them gone, it can
 *  join again, and cannot begin a second cluster of the same keys. */
async function forgetMaster({ dataDir, writeKubeconfig }: MasterSettings): Promise<void> {
  const left = ["etcd", settingsFile, "kubeconfigs", "token", "pki", etcdPaths.members];
  for (const path of [...left.map((name) => join(dataDir, name)), writeKubeconfig])
    await rm(path, { recursive: true, force: true });
}

/** One line a member, the present state of each asked from itself. */
export async function describeMembers(dataDir: string): Promise<string[]> {
  return withMembers(dataDir, async (members, seen) => {
    const alarms = await members.alarms();
    return Promise.all(
      seen.map(async ({ member, isHealthy }) => {
        const endpoint = clientUrlsOf(member).at(-1) ?? "";
        const status = isHealthy ? await members.status(endpoint).catch(() => undefined) : undefined;
        const state = (): string => {
          if (member.name === "") return "not started";
          if (!isHealthy) return "does NOT answer";
          return status?.leader === member.id ? "leads" : "well";
        };
        return [
          nameOf(member),
          endpoint,
          state(),
          ...(member.isLearner ? ["catching up"] : []),
          ...(status
            ? [
                `etcd ${status.version}`,
                `${mebibytes(status.used_bytes)} of ${mebibytes(status.size_bytes)} MiB in use`,
              ]
            : []),
          ...alarms.filter(({ memberId }) => memberId === member.id).map(({ kind }) => `alarm ${kind}`),
        ].join(", ");
      }),
    );
  });
}

/** What members do not allow at the moment; the message says what a person may do. */
class NotNowError extends UserError {}

/** Members that elect a leader, for instance since the last one left, answer nothing for some seconds. */
const elections_ms = 20_000;

async function whenAllowed<T>(
  dataDir: string,
  endpoints: readonly string[] | undefined,
  act: (members: EtcdMembers, seen: readonly SeenMember[]) => Promise<T>,
): Promise<T> {
  const deadline_ms = performance.now() + elections_ms;
  for (;;) {
    try {
      return await withMembers(dataDir, act, endpoints);
    } catch (error) {
      const mayPass = error instanceof NotNowError || error instanceof GrpcError;
      if (!mayPass || performance.now() > deadline_ms) throw error;
      await Bun.sleep(look_ms);
    }
  }
}

const mebibytes = (bytes: number): string => (bytes / 1024 / 1024).toFixed(1);

async function withMembers<T>(
  dataDir: string,
  act: (members: EtcdMembers, seen: readonly SeenMember[]) => Promise<T>,
  endpoints: readonly string[] = knownMembers(dataDir),
): Promise<T> {
  if (endpoints.length === 0)
    throw new UserError(
      "no member of an etcd that Bramble runs is known here: that is --store etcd, see `bramble etcd --help`",
    );
  const log: Log = stderrLog("error");
  const members = new EtcdMembers({ endpoints, credentials: () => etcdCredentials(dataDir), log });
  try {
    const { members: present } = await members.list();
    return await act(
      members,
      await Promise.all(present.map(async (member) => ({ member, isHealthy: await members.isHealthy(member) }))),
    );
  } finally {
    members.close();
  }
}
