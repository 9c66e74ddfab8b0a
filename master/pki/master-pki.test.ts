import { afterAll, describe, expect, test } from "bun:test";
import { mkdtemp, readFile, rm, stat, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseKubeconfig } from "#shared/client/kubeconfig.ts";
import { certificateSubject, isIssuedBy } from "#shared/pki/certificate-facts.ts";
import { ensureMasterPki, type MasterPkiOptions } from "./master-pki.ts";

const folder = await mkdtemp(join(tmpdir(), "master-pki-"));
afterAll(() => rm(folder, { recursive: true }));

const options = (more: Partial<MasterPkiOptions["names"]> = {}, now = new Date("2027-01-01")): MasterPkiOptions => ({
  dataDir: folder,
  kubeconfigPath: join(folder, "etc/kubeconfig.yaml"),
  server: "https://192.0.2.5:6443",
  names: {
    hostNames: ["raspberrypi"],
    addresses: ["192.168.1.10"],
    extra: ["k.example.org", "203.0.113.7"],
    serviceIp: "10.43.0.1",
    clusterDomain: "cluster.local",
    ...more,
  },
  now: () => now,
});

describe("the PKI of a master", () => {
  test("is made once, with every name, and readable by root alone", async () => {
    const first = await ensureMasterPki(options());
    const again = await ensureMasterPki(options());
    expect(again).toEqual(first);
    const { dnsNames, ipAddresses } = certificateSubject(first.certificates.serving.certificatePem);
    expect(dnsNames).toContain("kubernetes.default.svc.cluster.local");
    expect(dnsNames).toContain("raspberrypi");
    expect(dnsNames).toContain("k.example.org");
    expect(ipAddresses).toEqual(expect.arrayContaining(["127.0.0.1", "10.43.0.1", "192.168.1.10", "203.0.113.7"]));
    for (const file of ["pki/ca.key", "pki/apiserver.pem", "pki/service-account.key", "token", "etc/kubeconfig.yaml"])
      await expect((await stat(join(folder, file))).mode & 0o777).toBe(0o600);
  });

  test("has clients ask for a name that no board has a certificate for, whoever is at the address", async () => {
    const { certificates } = await ensureMasterPki(options());
    const { credentials } = parseKubeconfig(await readFile(join(folder, "etc/kubeconfig.yaml"), "utf8"), "/");
    expect(credentials().serverName).toBe("kubernetes");
    expect(certificateSubject(certificates.serving.certificatePem).dnsNames).toContain("kubernetes");
  });

  test("takes in a new address, and keeps everything else", async () => {
    const before = await ensureMasterPki(options());
    const after = await ensureMasterPki(options({ addresses: ["192.168.1.99"] }));
    expect(certificateSubject(after.certificates.serving.certificatePem).ipAddresses).toContain("192.168.1.99");
    expect(after.authorities).toEqual(before.authorities);
    expect(after.certificates.kubeletClient).toEqual(before.certificates.kubeletClient);
  });

  test("renews in time, kubeconfig and all", async () => {
    const before = await ensureMasterPki(options());
    const kubeconfig = await readFile(join(folder, "etc/kubeconfig.yaml"), "utf8");
    const after = await ensureMasterPki(options({}, before.certificates.renewAt));
    expect(after.certificates.serving).not.toEqual(before.certificates.serving);
    expect(after.certificates.renewAt > before.certificates.renewAt).toBe(true);
    expect(await readFile(join(folder, "etc/kubeconfig.yaml"), "utf8")).not.toBe(kubeconfig);
    const { ca } = before.authorities;
    expect(isIssuedBy(after.certificates.serving.certificatePem, ca.certificatePem)).toBe(true);
  });

  test("does not make a second cluster when the CA's key is gone", async () => {
    await unlink(join(folder, "pki/ca.key"));
    await expect(ensureMasterPki(options())).rejects.toThrow("its key");
  });
});
