import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureLocalPathFolder, localPathFolders } from "#agent/kubelet/volumes/local-path.ts";
import { isNotFound } from "#shared/api/errors.ts";
import {
  localPathFinalizer,
  localPathNodeLabel,
  localPathProvisionerName,
  localPathSelector,
} from "#shared/api/local-path.ts";
import { persistentVolumes } from "#shared/api/resources.ts";
import type { PersistentVolume } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { type RunningController, runController } from "#shared/client/controller.ts";
import { InformerFactory } from "#shared/client/informer.ts";
import { issueCertificate } from "#shared/pki/certificate.ts";
import { extendedKeyUsages } from "#shared/pki/certificate-facts.ts";
import { type SecuredServer, startSecuredServer } from "../support/secured-server.ts";

describe("folders of a board as volumes", () => {
  let server: SecuredServer;
  let api: Client;
  let board: Client;
  let informers: InformerFactory;
  let running: RunningController;
  let root: string;
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), "local-path-"));
    server = await startSecuredServer();
    api = server.admin;
    const { certificatePem, keyPem } = await issueCertificate(
      server.pki.authorities.ca,
      { commonName: "system:node:a", organizations: ["system:nodes"] },
      [extendedKeyUsages.clientAuth],
    );
    board = server.clientWith({ certificate: certificatePem, key: keyPem });
    informers = new InformerFactory(board);
    informers.start();
    running = await runController(localPathFolders("a"), {
      client: board,
      informers,
      events: { record: () => undefined },
    });
  }, 300_000);
  afterAll(async () => {
    await running?.stop();
    await informers?.stop();
    await server?.stop();
    rmSync(root, { recursive: true, force: true });
  });

  const volume = (name: string, node: string, path = join(root, `${name}_default_c`)): PersistentVolume => ({
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: {
      name,
      labels: { [localPathNodeLabel]: node },
      annotations: { "pv.kubernetes.io/provisioned-by": localPathProvisionerName },
      finalizers: [localPathFinalizer],
    },
    spec: {
      capacity: { storage: "1Gi" },
      accessModes: ["ReadWriteOnce"],
      persistentVolumeReclaimPolicy: "Delete",
      storageClassName: "local-path",
      local: { path },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [node] }] },
          ],
        },
      },
    },
  });

  async function untilGone(name: string): Promise<void> {
    for (let attempt = 0; attempt < 3_600; attempt++) {
      try {
        await api.get(persistentVolumes, { name });
      } catch (error) {
        if (isNotFound(error)) return;
        throw error;
      }
      await Bun.sleep(50);
    }
    throw new Error(`${name} stays`);
  }

  async function deleteVolume(name: string): Promise<void> {
    // What the protection controller does elsewhere.
    const body = { metadata: { finalizers: [localPathFinalizer] } };
    await api.patch(persistentVolumes, { name }, { type: "merge", body });
    await api.delete(persistentVolumes, { name });
  }

  test("a folder is made for any user, and one that is there is left alone", async () => {
    const path = join(root, "deep", "data");
    await ensureLocalPathFolder(path);
    expect(statSync(path).mode & 0o777).toBe(0o777);
    writeFileSync(join(path, "kept"), "x");
    await ensureLocalPathFolder(path);
    expect(existsSync(join(path, "kept"))).toBe(true);
  });

  test("the folder of a deleted volume is removed with the rights of its node", async () => {
    await api.create(persistentVolumes, volume("mine", "a"));
    const path = join(root, "mine_default_c");
    await ensureLocalPathFolder(path);
    writeFileSync(join(path, "data"), "x");
    await deleteVolume("mine");
    await untilGone("mine");
    expect(existsSync(path)).toBe(false);
  });

  test("a path that is not the volume's own folder is left alone", async () => {
    const path = join(root, "precious");
    await ensureLocalPathFolder(path);
    await api.create(persistentVolumes, volume("odd", "a", path));
    await deleteVolume("odd");
    await untilGone("odd");
    expect(existsSync(path)).toBe(true);
  });

  test("a node sees and changes no volumes but its own, and nothing but the finalizer", async () => {
    const refused = async (attempt: Promise<unknown>): Promise<string> =>
      attempt.then(
        () => "allowed",
        (error: Error) => error.message,
      );
    await api.create(persistentVolumes, volume("theirs", "b"));
    await api.create(persistentVolumes, volume("live", "a"));
    const change = (name: string, body: object) =>
      refused(board.patch(persistentVolumes, { name }, { type: "merge", body }));
    expect(await refused(board.list(persistentVolumes))).toContain("forbidden");
    expect(await refused(board.list(persistentVolumes, { labelSelector: localPathSelector("b") }))).toContain(
      "forbidden",
    );
    const { items } = await board.list(persistentVolumes, { labelSelector: localPathSelector("a") });
    expect(items.map(({ metadata }) => metadata.name)).toEqual(["live"]);
    expect(await change("theirs", { metadata: { finalizers: [] } })).toContain("forbidden");
    expect(await change("live", { metadata: { finalizers: [] } })).toContain("may only take");
    expect(await change("live", { metadata: { labels: { x: "y" } } })).toContain("may only take");
  });
});
