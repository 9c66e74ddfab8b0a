/** AuthenticationConfiguration: issuers of tokens with mappings and rules, anonymous requests by path, changes of the file. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "#shared/client/log.ts";
import { authenticationReloads } from "#shared/metrics/configuration-reloads.ts";
import { renderPrometheus } from "#shared/metrics/prometheus-text.ts";
import {
  ConfiguredAuthentication,
  parseAuthenticationConfiguration,
} from "../../master/apiserver/authn/authentication-configuration.ts";
import { JwtTokens } from "../../master/apiserver/authn/jwt-tokens.ts";
import { type SecuredServer, startSecuredServer } from "../support/secured-server.ts";
import { type Claims, startTokenIssuer, type TokenIssuer } from "../support/token-issuer.ts";

let issuer: TokenIssuer;
const folder = mkdtempSync(join(tmpdir(), "bramble-authentication-"));

beforeAll(async () => {
  issuer = await startTokenIssuer();
});
afterAll(() => {
  issuer.stop();
  rmSync(folder, { recursive: true });
});

const ownIssuer = "https://kubernetes.default.svc";
const subject = { claimMappings: { username: { claim: "sub", prefix: "" } } };

const documentOf = (jwt: object[], more: object = {}): string =>
  JSON.stringify({ apiVersion: "apiserver.config.k8s.io/v1", kind: "AuthenticationConfiguration", jwt, ...more });

const ofIssuer = (more: object = {}, where: object = {}): object => ({
  issuer: { url: issuer.url, certificateAuthority: issuer.ca, audiences: ["kubernetes"], ...where },
  ...subject,
  ...more,
});

async function userBy(entry: object, claims: Claims = {}) {
  const { issuers } = parseAuthenticationConfiguration(documentOf([entry]), ownIssuer);
  const [only] = issuers;
  if (!only) throw new Error("one issuer is named");
  return (await new JwtTokens(only).authenticateToken(await issuer.sign(claims)))?.user;
}

describe("a token's claims become a user", () => {
  test("by claims with prefixes", async () => {
    const claimMappings = {
      username: { claim: "name", prefix: "corp:" },
      groups: { claim: "teams", prefix: "team:" },
      uid: { claim: "sub" },
    };
    expect(await userBy(ofIssuer({ claimMappings }), { name: "anna", teams: ["a", "b"] })).toEqual({
      name: "corp:anna",
      groups: ["team:a", "team:b"],
      uid: "1",
    });
  });

  test("by expressions", async () => {
    const claimMappings = {
      username: { expression: "claims.name.lowerAscii() + ':' + claims.realm.id" },
      groups: { expression: "claims.roles.split(',').filter(role, role != 'none')" },
      uid: { expression: "string(claims.number)" },
      extra: [
        { key: "example.org/tenant", valueExpression: "claims.realm.id" },
        { key: "example.org/absent", valueExpression: "has(claims.nothing) ? claims.nothing : ''" },
      ],
    };
    const claims = { jti: "one", name: "ANNA", realm: { id: "blue" }, roles: "a,none,b", number: 7 };
    expect(await userBy(ofIssuer({ claimMappings }), claims)).toEqual({
      name: "anna:blue",
      groups: ["a", "b"],
      uid: "7",
      extra: {
        "authentication.kubernetes.io/credential-id": ["JTI=one"],
        "example.org/tenant": ["blue"],
      },
    });
    await expect(userBy(ofIssuer({ claimMappings }), { ...claims, name: 5 })).rejects.toThrow("username");
    await expect(userBy(ofIssuer({ claimMappings }), { ...claims, realm: {} })).rejects.toThrow("no such key");
  });

  test("if the rules for claims and users hold", async () => {
    const rules = {
      claimValidationRules: [
        { claim: "hd", requiredValue: "example.org" },
        { expression: "claims.exp - claims.iat <= 3600", message: "lives too long" },
      ],
      userValidationRules: [{ expression: "!user.username.startsWith('system:')", message: "a reserved name" }],
    };
    const hd = "example.org";
    expect((await userBy(ofIssuer(rules), { hd }))?.name).toBe("1");
    await expect(userBy(ofIssuer(rules))).rejects.toThrow("required claim hd not present");
    await expect(userBy(ofIssuer(rules), { hd: "other" })).rejects.toThrow("required claim hd does not match");
    const later = Math.floor(Date.now() / 1000) + 7200;
    await expect(userBy(ofIssuer(rules), { hd, exp: later })).rejects.toThrow("lives too long");
    await expect(userBy(ofIssuer(rules), { hd, sub: "system:admin" })).rejects.toThrow("a reserved name");
  });

  test("by an address that a rule has looked at", async () => {
    const claimMappings = { username: { expression: "claims.email" } };
    const claimValidationRules = [{ expression: "claims.?email_verified.orValue(true) == true" }];
    const entry = ofIssuer({ claimMappings, claimValidationRules });
    expect((await userBy(entry, { email: "anna@example.org" }))?.name).toBe("anna@example.org");
    await expect(userBy(entry, { email: "anna@example.org", email_verified: false })).rejects.toThrow("failed");
  });

  test("made for one of several audiences, by a discovery document elsewhere", async () => {
    const where = { audiences: ["a", "b"], audienceMatchPolicy: "MatchAny", discoveryURL: `${issuer.url}/elsewhere` };
    expect((await userBy(ofIssuer({}, where), { aud: "b" }))?.name).toBe("1");
    expect((await userBy(ofIssuer({}, where), { aud: ["x", "a"] }))?.name).toBe("1");
    await expect(userBy(ofIssuer({}, where), { aud: "x" })).rejects.toThrow("aud");
  });
});

describe("a configuration that is none", () => {
  const faultOf = (text: string): string => {
    try {
      parseAuthenticationConfiguration(text, ownIssuer);
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  };
  test.each<[string, () => string, string]>([
    ["of another kind", () => '{"kind":"Config"}', "expected an AuthenticationConfiguration"],
    ["without https", () => documentOf([ofIssuer({}, { url: "http://a" })]), "jwt[0].issuer.url"],
    [
      "with a rule whose name is misspelled",
      () => documentOf([ofIssuer({ claimValidationRule: [{ expression: "false" }] })]),
      "jwt[0].claimValidationRule: unknown field",
    ],
    [
      "with a field of a rule that is none",
      () => documentOf([ofIssuer({ claimValidationRules: [{ claim: "hd", required: "example.org" }] })]),
      "jwt[0].claimValidationRules[0].required: unknown field",
    ],
    [
      "with conditions in another place",
      () => documentOf([], { anonymous: { enabled: true }, conditions: [{ path: "/livez" }] }),
      "conditions: unknown field",
    ],
    ["with a name and a password", () => documentOf([ofIssuer({}, { url: "https://a:b@c" })]), "username or password"],
    ["with a query", () => documentOf([ofIssuer({}, { discoveryURL: "https://a/?b=c" })]), "must not contain a query"],
    ["with authorities that are none", () => documentOf([ofIssuer({}, { certificateAuthority: "a" })]), "certificates"],
    ["with an issuer twice", () => documentOf([ofIssuer(), ofIssuer()]), "jwt[1].issuer.url: Duplicate value"],
    ["with the cluster's own issuer", () => documentOf([ofIssuer({}, { url: ownIssuer })]), "Duplicate value"],
    ["without audiences", () => documentOf([ofIssuer({}, { audiences: [] })]), "at least one issuer.audiences"],
    ["with audiences and no policy", () => documentOf([ofIssuer({}, { audiences: ["a", "b"] })]), "must be MatchAny"],
    [
      "without a name",
      () => documentOf([ofIssuer({ claimMappings: {} })]),
      "claimMappings.username: claim or expression",
    ],
    [
      "without a prefix",
      () => documentOf([ofIssuer({ claimMappings: { username: { claim: "sub" } } })]),
      "prefix is required when claim is set",
    ],
    [
      "with an expression that does not compile",
      () => documentOf([ofIssuer({ claimMappings: { username: { expression: "claims." } } })]),
      "jwt[0].claimMappings.username.expression: compilation failed",
    ],
    [
      "with one that gives something else",
      () => documentOf([ofIssuer({ userValidationRules: [{ expression: "user.username" }] })]),
      "must evaluate to bool",
    ],
    [
      "that takes addresses which nobody verified",
      () => documentOf([ofIssuer({ claimMappings: { username: { expression: "claims.email" } } })]),
      "claims.email_verified must be used",
    ],
    [
      "that takes one where there is one",
      () => documentOf([ofIssuer({ claimMappings: { username: { expression: "claims.?email.orValue('nobody')" } } })]),
      "claims.email_verified must be used",
    ],
    [
      "that only speaks of the proof",
      () =>
        documentOf([
          ofIssuer({
            claimMappings: { username: { expression: "claims.email" } },
            claimValidationRules: [{ expression: "'claims.email_verified' != ''" }],
          }),
        ]),
      "claims.email_verified must be used",
    ],
    [
      "with a reserved key",
      () =>
        documentOf([
          ofIssuer({
            claimMappings: { ...subject.claimMappings, extra: [{ key: "a.k8s.io/b", valueExpression: "'c'" }] },
          }),
        ]),
      "are reserved",
    ],
    [
      "with conditions of nothing",
      () => documentOf([], { anonymous: { enabled: false, conditions: [{ path: "/healthz" }] } }),
      "enabled should be set to true",
    ],
  ])("%s is refused", (_, text, fault) => {
    expect(faultOf(text())).toContain(fault);
  });
});

describe("a server with a file", () => {
  const path = join(folder, "authentication.yaml");
  const write = (text: string): void => {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  };
  let configured: ConfiguredAuthentication;
  let server: SecuredServer;

  beforeAll(async () => {
    write(documentOf([ofIssuer()], { anonymous: { enabled: true, conditions: [{ path: "/healthz" }] } }));
    configured = new ConfiguredAuthentication(path, ownIssuer, silentLog);
    server = await startSecuredServer({
      moreTokens: [configured],
      allowsAnonymous: (at) => configured.allowsAnonymous(at) ?? true,
    });
  });
  afterAll(async () => {
    configured.stop();
    await server.stop();
  });

  const codeOf = async (at: string, token?: string): Promise<number> => {
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    const tls = { ca: server.pki.authorities.ca.certificatePem };
    return (await fetch(`${server.url}${at}`, { headers, tls } as RequestInit)).status;
  };

  test("lets anonymous requests in where it says, and knows the issuer's tokens", async () => {
    expect(await codeOf("/healthz")).toBe(200);
    expect(await codeOf("/version")).toBe(401);
    expect(await codeOf("/version", await issuer.sign())).toBe(200);
    expect(await codeOf("/version", await issuer.sign({ aud: "other" }))).toBe(401);
  });

  test("goes by what the file says once it has changed, and by what it said where that is no good", async () => {
    write("nonsense: [");
    write(documentOf([ofIssuer({}, { audiences: ["other"] })]));
    while ((await codeOf("/version")) !== 200) await Bun.sleep(20);
    expect(await codeOf("/version", await issuer.sign({ aud: "other" }))).toBe(200);
    expect(await codeOf("/version", await issuer.sign())).toBe(401);
    write("nonsense: [");
    configured.reload();
    expect(await codeOf("/version", await issuer.sign({ aud: "other" }))).toBe(200);
    const told = renderPrometheus(authenticationReloads.families());
    const reloads = "apiserver_authentication_config_controller_automatic_reload";
    for (const status of ["success", "failure"]) {
      expect(told).toMatch(
        new RegExp(`^${reloads}s_total{status="${status}",apiserver_id_hash="sha256:.*"} [1-9]`, "m"),
      );
      expect(told).toContain(`${reloads}_last_timestamp_seconds{status="${status}",`);
    }
    const hash = createHash("sha256")
      .update(documentOf([ofIssuer({}, { audiences: ["other"] })]))
      .digest("hex");
    expect(told).toContain(`,hash="sha256:${hash}"} 1\n`);
  });
});
