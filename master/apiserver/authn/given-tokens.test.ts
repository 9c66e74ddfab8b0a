import { expect, test } from "bun:test";
import { createServiceAccountKey, parseServiceAccountKeys } from "#shared/pki/service-account-key.ts";
import { FileTokens, usersIn } from "./file-tokens.ts";
import { issuerOf } from "./service-account-issuer.ts";
import { tokenLifetimesOf } from "./token-request.ts";

test("tokens of a file stand for their users", async () => {
  const tokens = new FileTokens(usersIn('secret,anna,42,"dev,ops"\n,nobody,1\nother,"o""tto",\n', "file"));
  expect((await tokens.authenticateToken("secret"))?.user).toEqual({ name: "anna", uid: "42", groups: ["dev", "ops"] });
  expect((await tokens.authenticateToken("other"))?.user).toEqual({ name: 'o"tto', groups: [] });
  expect(await tokens.authenticateToken("")).toBeUndefined();
  expect(() => usersIn("secret,anna\n", "file")).toThrow(
    "token file 'file' must have at least 3 columns (token, user name, user uid), found 2",
  );
});

test("of several issuers the first issues and all count", () => {
  const keys = parseServiceAccountKeys(createServiceAccountKey());
  const settings = {
    clusterDomain: "cluster.local",
    serviceAccountIssuer: ["https://new", "https://old"],
    apiAudiences: [],
    serviceAccountJwksUri: "",
  };
  const issuer = issuerOf(settings, keys);
  expect([issuer.issuer, issuer.apiAudiences]).toEqual(["https://new", ["https://new", "https://old"]]);
  expect(["https://new", "https://old", "https://other"].map((name) => issuer.isIssuer(name))).toEqual([
    true,
    true,
    false,
  ]);
  expect(() => issuerOf({ ...settings, serviceAccountIssuer: ["a", "a"] }, keys)).toThrow(
    'service-account-issuer "a" is already specified',
  );
  expect(() => issuerOf({ ...settings, serviceAccountJwksUri: "http://a" }, keys)).toThrow("requires https scheme");
});

test("a bound of tokens' lives is an hour or more", () => {
  const lifetimes = (serviceAccountMaxTokenExpiration: number) =>
    tokenLifetimesOf({ serviceAccountMaxTokenExpiration, serviceAccountExtendTokenExpiration: true });
  expect([lifetimes(0).longest_s, lifetimes(7_200_000).longest_s]).toEqual([Number.POSITIVE_INFINITY, 7200]);
  expect(() => lifetimes(60_000)).toThrow("must be between 1 hour and 2^32 seconds");
});
