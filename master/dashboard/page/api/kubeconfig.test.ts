import { expect, test } from "bun:test";
import { readCredential } from "./kubeconfig.ts";

const kubeconfig = `apiVersion: v1
kind: Config
clusters:
- name: home
  cluster:
    server: https://192.0.2.1:6443
contexts:
- context:
    cluster: home
    user: second
  name: mine
- name: other
  context:
    cluster: home
    user: first
- {name: card, context: {cluster: home, user: card}}
current-context: mine
users:
- name: first
  user:
    token: one.two.three
- name: second
  user:
    token: "four.five.six"
- name: card
  user:
    client-certificate-data: eA==
    client-key-data: eA==
`;

const why = (text: string): string => {
  const credential = readCredential(text);
  return credential.kind === "unusable" ? credential.why : `a token: ${credential.token}`;
};
const userWith = (user: object): string =>
  JSON.stringify({ apiVersion: "v1", kind: "Config", users: [{ name: "me", user }] });

test("a token is taken as it is", () => {
  expect(readCredential(" aa.bb-_.cc\n")).toEqual({ kind: "token", token: "aa.bb-_.cc" });
  expect(readCredential("Bearer aa.bb.cc")).toEqual({ kind: "token", token: "aa.bb.cc" });
});

test("of a kubeconfig the user of the current context counts, and nobody else", () => {
  expect(readCredential(kubeconfig)).toEqual({ kind: "token", token: "four.five.six" });
  const other = kubeconfig.replace("current-context: mine", "current-context: other");
  expect(readCredential(other)).toEqual({ kind: "token", token: "one.two.three" });
  expect(why(kubeconfig.replace("current-context: mine", "current-context: card"))).toMatch(
    /^card signs in with a client certificate.*as said below/,
  );
  expect(why(kubeconfig.replace("current-context: mine", "current-context: gone"))).toContain("gone, is not in it");
  expect(why(kubeconfig.replace("current-context: mine\n", ""))).toContain("no current context");
});

test("the form does not count: JSON, and what a credential plug-in printed", () => {
  expect(readCredential(userWith({ token: "opaque token" }))).toEqual({ kind: "token", token: "opaque token" });
  expect(
    readCredential('{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"t"}}'),
  ).toEqual({ kind: "token", token: "t" });
});

test("what cannot be used is told apart", () => {
  expect(why("")).toContain("Paste");
  expect(why("hello world")).toContain("neither");
  expect(why("users: [")).toContain("cannot be read");
  expect(why(userWith({ "client-certificate-data": "eA==" }))).toContain("client certificate");
  expect(why(userWith({ exec: { command: "aws", args: ["eks"] } }))).toContain("the program aws");
  expect(why(userWith({ "auth-provider": { name: "oidc" } }))).toContain("the provider oidc");
  expect(why(userWith({ tokenFile: "/a" }))).toContain("/a");
  expect(why(userWith({}))).toContain("nothing to sign in with");
});
