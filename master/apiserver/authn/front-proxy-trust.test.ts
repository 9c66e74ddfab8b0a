import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "#shared/client/log.ts";
import { apiServerOptions } from "#shared/config/component-settings.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { createCertificateAuthority } from "#shared/pki/certificate.ts";
import { publishExtensionAuthentication } from "../../pki/extension-authentication.ts";
import { frontProxyTrustOf } from "./front-proxy-trust.ts";

const [clients, own, theirs] = (
  await Promise.all(["clients", "own", "theirs"].map((name) => createCertificateAuthority(name)))
).map(({ certificatePem }) => certificatePem);
if (!clients || !own || !theirs) throw new Error("there are three authorities");

const folder = mkdtempSync(join(tmpdir(), "front-proxies-"));
const file = join(folder, "ca.crt");
const fallbacks = Object.fromEntries(
  Object.entries(apiServerOptions).map(([key, { fallback }]) => [key, fallback]),
) as unknown as MasterSettings;
let stop = (): void => undefined;
afterEach(() => stop());

function trustOf(settings: Partial<MasterSettings>) {
  const trust = frontProxyTrustOf({
    settings: { ...fallbacks, ...settings },
    own: { clients: () => clients ?? "", frontProxies: () => own ?? "" },
    log: silentLog,
  });
  stop = () => trust.stop();
  return trust;
}

/** What is published for aggregated API servers. */
async function publishedFor(settings: Partial<MasterSettings>): Promise<Record<string, string>> {
  let written: Record<string, string> = {};
  const client = {
    get: () => Promise.resolve({ metadata: {}, data: {} }),
    update: (_: unknown, { data }: { data: Record<string, string> }) => {
      written = data;
      return Promise.resolve();
    },
  };
  await publishExtensionAuthentication(
    client as unknown as Parameters<typeof publishExtensionAuthentication>[0],
    { door: { ca: clients ?? "" }, authorities: { frontProxyTrusted: own ?? "" } },
    trustOf(settings),
  );
  return written;
}

test("without settings, the cluster's own front proxy is believed", async () => {
  const { authorities, allowedNames, headers } = trustOf({});
  expect([authorities(), allowedNames, headers.username]).toEqual([own, ["front-proxy-client"], ["X-Remote-User"]]);
  expect(await publishedFor({})).toMatchObject({
    "client-ca-file": clients,
    "requestheader-client-ca-file": own,
    "requestheader-allowed-names": '["front-proxy-client"]',
    "requestheader-username-headers": '["X-Remote-User"]',
    "requestheader-uid-headers": '["X-Remote-Uid"]',
  });
});

test("a CA of one's own takes its place, and aggregated servers are told of both", async () => {
  writeFileSync(file, theirs);
  const given = {
    requestheaderClientCaFile: file,
    requestheaderAllowedNames: ["edge"],
    requestheaderUsernameHeaders: ["X-Edge-User"],
  };
  const { authorities, allowedNames } = trustOf(given);
  expect([authorities(), allowedNames]).toEqual([theirs, ["edge"]]);
  stop();
  expect(await publishedFor(given)).toMatchObject({
    "requestheader-client-ca-file": theirs + own,
    "requestheader-allowed-names": '["edge","front-proxy-client"]',
    "requestheader-username-headers": '["X-Edge-User","X-Remote-User"]',
  });
  stop();
  expect(await publishedFor({ requestheaderClientCaFile: file })).toMatchObject({
    "requestheader-allowed-names": "[]",
  });
});

test("the file is read again when it has changed, but not for worse", async () => {
  writeFileSync(file, theirs);
  const trust = trustOf({ requestheaderClientCaFile: file });
  const changed = new Promise<void>((resolve) => trust.onChange(resolve));
  writeFileSync(file, theirs + own);
  await changed;
  expect(trust.authorities()).toBe(theirs + own);
  writeFileSync(file, "nothing");
  await Bun.sleep(50);
  expect(trust.authorities()).toBe(theirs + own);
});

test("what would let every client be anybody is refused", () => {
  writeFileSync(file, theirs + clients);
  expect(() => trustOf({ requestheaderClientCaFile: file })).toThrow("requestheader-allowed-names must say");
  expect(trustOf({ requestheaderClientCaFile: file, requestheaderAllowedNames: ["edge"] }).allowedNames).toEqual([
    "edge",
  ]);
  writeFileSync(file, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  expect(() => trustOf({ requestheaderClientCaFile: file })).toThrow("requestheader-client-ca-file");
  rmSync(folder, { recursive: true });
});
