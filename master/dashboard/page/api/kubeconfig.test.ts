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
current-context: mine
users:
- name: first
  user:
    token: one.two.three
- name: second
  user:
    token: "four.five.six"
`;

test("a token is taken as it is", () => {
  expect(readCredential(" aa.bb-_.cc\n")).toEqual({ kind: "token", token: "aa.bb-_.cc" });
  expect(readCredential("Bearer aa.bb.cc")).toEqual({ kind: "token", token: "aa.bb.cc" });
});

test("of a kubeconfig the user of the current context counts", () => {
  expect(readCredential(kubeconfig)).toEqual({ kind: "token", token: "four.five.six" });
  const other = kubeconfig.replace("current-context: mine", "current-context: other");
  expect(readCredential(other)).toEqual({ kind: "token", token: "one.two.three" });
});

test("what cannot be used is told apart", () => {
  const why = (text: string): string => {
    const credential = readCredential(text);
    return credential.kind === "unusable" ? credential.why : "";
  };
  expect(why("")).toContain("Paste");
  expect(why("hello world")).toContain("neither");
  expect(why("users:\n- name: a\n  user:\n    client-certificate-data: eA==\n")).toContain("client certificate");
});
