/** What has to be there before this board's member of etcd starts: certificates, membership, settings. */
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { wholeValue } from "#shared/api/quantity.ts";
import type { Log } from "#shared/client/log.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { readIfPresent } from "#shared/files/if-present.ts";
import { GrpcError } from "#shared/grpc/grpc-error.ts";
import type { KeyAndCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { ensureAuthority, PkiError } from "../pki/cluster-authorities.ts";
import { ensureCertificate } from "../pki/master-certificates.ts";
import {
  clientUrl,
  type EtcdConfig,
  etcdCredentials,
  etcdPaths,
  type KnownEtcd,
  keepEtcd,
  knownEtcd,
  peerUrl,
  renderConfig,
  writeIfChanged,
} from "./files.ts";
import { nameOf, planJoin } from "./member-plan.ts";
import { EtcdMembers } from "./members.ts";

/** The members of etcd do not allow it now; the message says what to do. */
class EtcdMemberError extends Error {
  override readonly name = "UserError";
}

const joinWithin_ms = 120_000;
const retry_ms = 2_000;
/** Members that elect a leader answer nothing for some seconds. */
const elections_ms = 20_000;

/**
 * Makes or renews the member's certificates and writes its settings. A board without data of etcd's makes a cluster of one
 * member; where a master was joined whose members are known, it becomes one more of them, as a learner, which cannot hurt
 * their majority. Can be run again after each failure. Rejects with EtcdMemberError.
 */
export async function prepareEtcd(settings: MasterSettings, address: string, log: Log): Promise<void> {
  const { dataDir } = settings;
  await ensureEtcdCertificates(dataDir, address);
  const path = join(dataDir, etcdPaths.config);
  const { name, initial } = await membership(settings, path, address, log);
  const quota_bytes = wholeValue(settings.etcdQuota);
  await writeIfChanged(path, renderConfig({ dataDir, name, address, quota_bytes, initial }));
  const { members, cluster } = knownEtcd(dataDir);
  await keepEtcd(dataDir, { members: [...members, clientUrl(address)], cluster });
}

type Membership = Pick<EtcdConfig, "name" | "initial">;

async function membership(
  { dataDir, server }: MasterSettings,
  path: string,
  address: string,
  log: Log,
): Promise<Membership> {
  const data = join(dataDir, etcdPaths.data);
  if (existsSync(join(data, "member"))) return presentMembership(path, address);
  const known = knownEtcd(dataDir);
  const others = known.members.filter((url) => url !== clientUrl(address));
  if (others.length === 0) {
    assertMayBegin(known, data, server);
    return { name: hostname(), initial: alone(hostname(), address) };
  }
  const members = new EtcdMembers({ endpoints: others, credentials: () => etcdCredentials(dataDir), log });
  try {
    return await becomeMember(members, address, log);
  } finally {
    members.close();
  }
}

/** A cluster must not begin anew, empty, where there is one. Throws EtcdMemberError. */
function assertMayBegin({ cluster }: KnownEtcd, data: string, servers: readonly string[]): void {
  if (servers.length > 0)
    throw new EtcdMemberError(
      `the members of etcd at ${servers.join(", ")} are not known here: give a --token that \`bramble token create --master\` prints there`,
    );
  if (cluster !== undefined)
    throw new EtcdMemberError(
      `the data of etcd are gone from ${data}, and this was its only member. Put them back; or remove ${etcdPaths.members} beside them to begin with an empty etcd, and fill it with \`bramble restore\``,
    );
}

const alone = (name: string, address: string): EtcdConfig["initial"] => ({
  state: "new",
  members: [[name, peerUrl(address)]],
});

/** What the file says of it; its data know the rest. */
async function presentMembership(path: string, address: string): Promise<Membership> {
  const text = await readIfPresent(path);
  const name = text === undefined ? hostname() : (JSON.parse(text) as { readonly name: string }).name;
  return { name, initial: alone(name, address) };
}

async function becomeMember(members: EtcdMembers, address: string, log: Log): Promise<Membership> {
  const began_ms = performance.now();
  const url = peerUrl(address);
  for (;;) {
    const { members: present } = await members.list().catch((error: unknown) => {
      throw explained(error);
    });
    const others = present.filter(({ peerUrls }) => !peerUrls.includes(url));
    const name = others.some((member) => member.name === hostname()) ? `${hostname()}-${address}` : hostname();
    const seen = await Promise.all(
      present.map(async (member) => ({ member, isHealthy: await members.isHealthy(member) })),
    );
    const step = planJoin(seen, { name, peerUrl: url });
    const waited_ms = performance.now() - began_ms;
    if (step.kind === "refuse" && waited_ms > elections_ms) throw new EtcdMemberError(step.why);
    if (step.kind === "start") {
      const known = others.flatMap((member) => member.peerUrls.map((each) => [nameOf(member), each] as const));
      return { name, initial: { state: "existing", members: [...known, [name, url]] } };
    }
    if (waited_ms > joinWithin_ms)
      throw new EtcdMemberError(`this board does not become a member of etcd: ${"why" in step ? step.why : step.kind}`);
    try {
      if (step.kind === "replace") await members.remove(step.id);
      else if (step.kind === "add") await members.addLearner(url);
      else {
        log.info("waiting to join etcd", { why: step.why });
        await Bun.sleep(retry_ms);
      }
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      // Members are asked again before the next step: it may have been done all the same.
      log.info("etcd does not take this board yet", { error });
      await Bun.sleep(retry_ms);
    }
  }
}

function explained(error: unknown): unknown {
  if (!(error instanceof GrpcError)) return error;
  return new EtcdMemberError(
    `no member of etcd answers (${error.message}): is the other master running, and its port 2379 open to this board?`,
  );
}

/** Certificates of this board's member and of its master, by etcd's own CA; renewed where they end soon. */
export async function ensureEtcdCertificates(dataDir: string, address: string): Promise<void> {
  const folder = join(dataDir, "pki", "etcd");
  const now = new Date();
  await ensureAuthority(folder, "ca", "bramble-etcd-ca", now);
  const ca = await authorityIn(folder);
  const { serverAuth, clientAuth } = extendedKeyUsages;
  const reached = {
    commonName: hostname(),
    dnsNames: [hostname(), "localhost"],
    ipAddresses: ["127.0.0.1", "::1", address],
  };
  for (const file of ["server", "peer"])
    await ensureCertificate(join(folder, file), ca, reached, [serverAuth, clientAuth], now);
  await ensureCertificate(join(folder, "client"), ca, { commonName: "bramble" }, [clientAuth], now);
}

async function authorityIn(folder: string): Promise<KeyAndCertificate> {
  const [certificatePem, keyPem] = await Promise.all(
    ["ca.crt", "ca.key"].map((file) => readIfPresent(join(folder, file))),
  );
  if (!certificatePem || !keyPem) throw new PkiError(`${folder} lacks ca.crt or ca.key`);
  return { certificatePem, keyPem };
}
