import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import type { MasterSettings } from "#shared/config/settings.ts";
import { ifPresent, readIfPresent } from "#shared/files/if-present.ts";
import { renewalMarkFile as boardMark } from "#shared/pki/board-identity.ts";
import { splitCertificates } from "#shared/pki/certificate-bundle.ts";
import { certificateFingerprint, certificateSubject, parseCertificate } from "#shared/pki/certificate-facts.ts";
import { renewalMarkFile as masterMark } from "../pki/master-certificates.ts";
import { etcdFilesOf } from "../store/store-choice.ts";
import { UserError } from "./admin-client.ts";

type Places = Pick<
  MasterSettings,
  "dataDir" | "writeKubeconfig" | "store" | "etcdCafile" | "etcdCertfile" | "etcdKeyfile"
>;

const day_ms = 86_400_000;
const patience_ms = 60_000;
const look_ms = 200;

/** `bramble certificate list`: every certificate that lies on this board, with what it is for and until when. */
export async function listCertificates(places: Places, now: Date = new Date()): Promise<void> {
  const rows = (await certificateTexts(places)).flatMap(([path, text]) =>
    splitCertificates(text).map((pem) => {
      const { commonName, organizations, dnsNames, ipAddresses } = certificateSubject(pem);
      const { notAfter, issuerName } = parseCertificate(pem);
      const days = Math.floor((notAfter.getTime() - now.getTime()) / day_ms);
      return [
        path,
        [commonName, ...organizations.map((group) => `O=${group}`)].join(","),
        [...dnsNames, ...ipAddresses].join(",") || "-",
        issuerName.getField("CN")[0] ?? "",
        `${notAfter.toISOString().slice(0, 10)} (${days < 0 ? "over" : `${days} days`})`,
        certificateFingerprint(pem).slice(0, 16),
      ];
    }),
  );
  if (rows.length === 0)
    throw new UserError(`no certificates lie below ${places.dataDir}: is this a board of a cluster?`);
  console.log(["FILE", "SUBJECT", "NAMES", "ISSUER", "ENDS", "SHA256"].join("\t"));
  for (const row of rows) console.log(row.join("\t"));
}

async function certificateTexts(places: Places): Promise<(readonly [path: string, pem: string])[]> {
  const { dataDir, writeKubeconfig } = places;
  const folders = [join(dataDir, "pki"), join(dataDir, "agent", "identity")];
  const paths: string[] = [];
  for (const folder of folders) {
    const names = (await ifPresent(readdir(folder))) ?? [];
    paths.push(
      ...names
        .filter((name) => /\.(crt|pem)$/.test(name))
        .sort()
        .map((name) => join(folder, name)),
    );
  }
  const { ca, cert } = etcdFilesOf(places);
  if (places.store !== "sqlite") paths.push(ca, cert);
  const texts = await Promise.all(paths.map(async (path) => [path, (await readIfPresent(path)) ?? ""] as const));
  const kubeconfig = await readIfPresent(writeKubeconfig);
  return kubeconfig === undefined ? texts : [...texts, [writeKubeconfig, clientCertificateOf(kubeconfig)] as const];
}

function clientCertificateOf(kubeconfig: string): string {
  const { users } = parse(kubeconfig) as { users?: { user?: { "client-certificate-data"?: string } }[] };
  return Buffer.from(users?.[0]?.user?.["client-certificate-data"] ?? "", "base64").toString("utf8");
}

/** `bramble certificate renew`: asks what runs on this board for new certificates, and waits until it has them. */
export async function renewCertificates({ dataDir }: Pick<Places, "dataDir">): Promise<void> {
  const places = [
    { folder: join(dataDir, "pki"), has: "apiserver.pem", mark: masterMark, name: "the master's" },
    { folder: join(dataDir, "agent", "identity"), has: "client.pem", mark: boardMark, name: "this board's" },
  ];
  let found = 0;
  for (const { folder, has, mark, name } of places) {
    const before = await readIfPresent(join(folder, has));
    if (before === undefined) continue;
    found += 1;
    await writeFile(join(folder, mark), "", { mode: 0o600 });
    const end_ms = performance.now() + patience_ms;
    while ((await readIfPresent(join(folder, mark))) !== undefined) {
      if (performance.now() > end_ms)
        throw new UserError(
          `${name} certificates were not renewed yet: they will be as soon as it runs and has a master`,
        );
      await Bun.sleep(look_ms);
    }
    console.log(`${name} certificates were renewed`);
  }
  if (found === 0) throw new UserError(`no certificates lie below ${dataDir}: is this a board of a cluster?`);
}
