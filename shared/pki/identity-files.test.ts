import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "#shared/client/log.ts";
import { createCertificateAuthority, issueCertificate } from "./certificate.ts";
import { extendedKeyUsages } from "./certificate-facts.ts";
import { hasIdentity, loadBoard, storeBoard } from "./identity-files.ts";

const folder = mkdtempSync(join(tmpdir(), "bramble-identity-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("a board has joined as long as either copy of its identity is on the card", async () => {
  expect(hasIdentity(folder)).toBe(false);
  const authority = await createCertificateAuthority("ca");
  const subject = { commonName: "system:node:kitchen", organizations: ["system:nodes"] };
  const client = await issueCertificate(authority, subject, [extendedKeyUsages.clientAuth]);
  const board = { nodeName: "kitchen", boardSerial: "1", settings: {} };
  await storeBoard(folder, { board, caCertificatePem: authority.certificatePem, client });
  for (const file of ["board.json", "client.pem", "ca.crt"]) rmSync(join(folder, file));
  expect(hasIdentity(folder)).toBe(true);
  expect(await loadBoard({ folder, boardSerial: "1" }, silentLog)).toMatchObject({ board });
  rmSync(join(folder, "board.json"));
  rmSync(join(folder, "spare.json"));
  expect(hasIdentity(folder)).toBe(false);
});
