/** ID tokens of an issuer outside (OpenID Connect), from an HTTPS server that is one. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { SignJWT } from "jose";
import { ConfigError } from "#shared/config/option.ts";
import { type MasterSettings, masterOptions } from "#shared/config/settings.ts";
import { OidcTokens, oidcSettingsOf } from "../../master/apiserver/authn/oidc-token.ts";
import { type SecuredServer, startSecuredServer } from "../support/secured-server.ts";
import {
  type Claims,
  type SigningKey,
  signingKey,
  startTokenIssuer,
  type TokenIssuer,
} from "../support/token-issuer.ts";

const fallbacks = Object.fromEntries(
  Object.entries(masterOptions).map(([name, { fallback }]) => [name, fallback]),
) as unknown as MasterSettings;

let issuer: TokenIssuer;
let url: string;
let ca: string;
let first: SigningKey;
let published: TokenIssuer["published"];
let server: SecuredServer;

beforeAll(async () => {
  issuer = await startTokenIssuer();
  ({ url, ca, first, published } = issuer);
  server = await startSecuredServer({ moreTokens: [tokens({ usernameClaim: "email", groupsClaim: "groups" })] });
});
afterAll(async () => {
  await server.stop();
  issuer.stop();
});

function settings(more: Partial<NonNullable<ReturnType<typeof oidcSettingsOf>>> = {}) {
  const found = oidcSettingsOf({ ...fallbacks, oidcIssuerUrl: url, oidcClientId: "kubernetes" });
  if (!found) throw new Error("an issuer is named");
  return { ...found, ca, ...more };
}
const tokens = (more: Parameters<typeof settings>[0] = {}): OidcTokens =>
  new OidcTokens(settings({ usernamePrefix: "", groupsPrefix: "corp:", ...more }));

const sign = (claims: Claims = {}, by: SigningKey = first): Promise<string> => issuer.sign(claims, by);

const whoAmI = async (token: string): Promise<unknown> => {
  const review = (await server.clientWith({ token }).raw({
    method: "POST",
    path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    body: { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" },
  })) as { status: { userInfo: unknown } };
  return review.status.userInfo;
};

describe("an ID token", () => {
  test("says who one is, also several at once with one look at the issuer's keys", async () => {
    const token = await sign({ email: "anna@example.org", groups: ["developers", "admins"] });
    const expected = {
      username: "anna@example.org",
      groups: ["corp:developers", "corp:admins", "system:authenticated"],
    };
    const found = await Promise.all(Array.from({ length: 8 }, () => whoAmI(token)));
    expect(found).toEqual(Array.from({ length: 8 }, () => expected));
    expect(published.asked).toBe(1);
    expect(await whoAmI(await sign({ email: "ben@example.org", email_verified: true, groups: "one" }))).toEqual({
      username: "ben@example.org",
      groups: ["corp:one", "system:authenticated"],
    });
  });

  const now_s = Math.floor(Date.now() / 1000);
  test("may be of a clock that is somewhat ahead", async () => {
    const user = await tokens().authenticateToken(await sign({ nbf: now_s + 240 }));
    expect(user?.user.name).toBe("1");
  });

  test("that names no key may be by any of the issuer's", async () => {
    const [other, strange] = [await signingKey("other"), await signingKey("strange")];
    published.keys = [first.jwk, other.jwk];
    const nameless = (by: SigningKey): Promise<string> =>
      new SignJWT({ iss: url, aud: "kubernetes", sub: "1", exp: now_s + 600 })
        .setProtectedHeader({ alg: "RS256" })
        .sign(by.key);
    const known = tokens();
    for (const by of [first, other]) expect((await known.authenticateToken(await nameless(by)))?.user.name).toBe("1");
    await expect(known.authenticateToken(await nameless(strange))).rejects.toThrow("signature verification failed");
    published.keys = [first.jwk];
  });

  test.each<[string, Claims]>([
    ["that is over", { exp: now_s - 1 }],
    ["that begins later", { nbf: now_s + 600 }],
    ["that never ends", { exp: undefined }],
    ["for somebody else", { aud: "other" }],
    ["of an address that was not verified", { email_verified: false }],
    ["without a name", { email: undefined }],
    ["with groups that are none", { groups: { a: 1 } }],
  ])("%s is refused", async (_, claims) => {
    await expect(whoAmI(await sign({ email: "anna@example.org", ...claims }))).rejects.toThrow("Unauthorized");
  });

  test("by a key that the issuer does not have is refused, by any algorithm", async () => {
    await expect(whoAmI(await sign({ email: "a@b" }, await signingKey("first")))).rejects.toThrow("Unauthorized");
    const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const claims = { iss: url, aud: "kubernetes", sub: "1", email: "a@b", exp: now_s + 600 };
    await expect(whoAmI(`${encode({ alg: "none" })}.${encode(claims)}.`)).rejects.toThrow("Unauthorized");
    const secret = new TextEncoder().encode(JSON.stringify(first.jwk));
    const confused = await new SignJWT(claims).setProtectedHeader({ alg: "HS256", kid: "first" }).sign(secret);
    await expect(whoAmI(confused)).rejects.toThrow("Unauthorized");
  });
});

test("names and claims as the flags say", async () => {
  const user = async (more: Parameters<typeof settings>[0], claims: Claims = {}) =>
    (await new OidcTokens(settings(more)).authenticateToken(await sign(claims)))?.user;
  expect(await user({})).toEqual({ name: `${url}#1`, groups: [] });
  const requiredClaims = new Map([["team", "pi"]]);
  expect(await user({ requiredClaims, usernamePrefix: "" }, { team: "pi" })).toEqual({ name: "1", groups: [] });
  expect((await user({}, { jti: "one" }))?.extra).toEqual({
    "authentication.kubernetes.io/credential-id": ["JTI=one"],
  });
  await expect(user({ requiredClaims }, { team: "x" })).rejects.toThrow("required claim team does not match");
  await expect(user({ requiredClaims })).rejects.toThrow("required claim team not present");
});

test("a token of another issuer is left to others", async () => {
  expect(await tokens().authenticateToken(await sign({ iss: "https://elsewhere" }))).toBeUndefined();
  expect(await tokens().authenticateToken("not-a-jwt")).toBeUndefined();
});

test("an issuer that is away refuses its own tokens, and is not asked at each", async () => {
  const away = tokens();
  published.isAway = true;
  const token = await sign();
  await expect(away.authenticateToken(token)).rejects.toThrow("the issuer cannot be asked");
  published.isAway = false;
  // Not asked again so soon.
  await expect(away.authenticateToken(token)).rejects.toThrow("the issuer cannot be asked");
  expect((await tokens().authenticateToken(token))?.user.name).toBe("1");
});

test("an issuer whose certificate is of an unknown CA is not believed", async () => {
  await expect(tokens({ ca: undefined }).authenticateToken(await sign())).rejects.toThrow("the issuer cannot be asked");
});

test("flags that do not fit together are told", () => {
  const of = (more: Partial<MasterSettings>) => () => oidcSettingsOf({ ...fallbacks, ...more });
  expect(of({})()).toBeUndefined();
  expect(of({ oidcIssuerUrl: "https://a" })).toThrow(ConfigError);
  expect(of({ oidcIssuerUrl: "http://a", oidcClientId: "b" })).toThrow("expected https://HOST");
  const both = { oidcIssuerUrl: "https://a", oidcClientId: "b" };
  expect(of({ ...both, oidcSigningAlgs: ["HS256"] })).toThrow("oidc-signing-algs");
  expect(of({ ...both, oidcRequiredClaim: ["x"] })).toThrow("CLAIM=VALUE");
  expect(of({ ...both, oidcUsernameClaim: "email" })()?.usernamePrefix).toBe("");
  expect(of({ ...both, oidcUsernamePrefix: "-" })()?.usernamePrefix).toBe("");
});
