import { expect, test } from "bun:test";
import { credentialsFor } from "./image-credentials.ts";

const entry = (user: string) => ({ auth: Buffer.from(`${user}:pass:word`).toString("base64") });
const authsFor = (image: string, ...configs: unknown[]) =>
  credentialsFor(
    image,
    configs.map((config, from) => ({ config, from })),
  ).map(({ auth }) => auth);
const usersFor = (image: string, ...configs: unknown[]) => authsFor(image, ...configs).map(({ username }) => username);

test("Docker Hub under the names that docker login writes", () => {
  for (const key of ["https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io"]) {
    expect(usersFor("nginx", { auths: { [key]: entry("hub") } })).toEqual(["hub"]);
  }
  expect(usersFor("quay.io/nginx", { auths: { "docker.io": entry("hub") } })).toEqual([]);
});

test("passwords may hold colons; plain fields and tokens do too", () => {
  expect(authsFor("r.example/app", { auths: { "r.example": entry("me") } })[0]).toMatchObject({
    username: "me",
    password: "pass:word",
    serverAddress: "r.example",
  });
  const plain = { username: "a", password: "b" };
  expect(authsFor("r.example/app", { "r.example": plain })[0]).toMatchObject(plain);
  expect(authsFor("r.example/app", { auths: { "r.example": { identitytoken: "t" } } })[0]).toMatchObject({
    identityToken: "t",
  });
});

test("longer paths first, then in the order given", () => {
  const first = { auths: { "r.example": entry("host"), "r.example/team/app": entry("app") } };
  const second = { auths: { "r.example/team": entry("team"), "r.example/team/": entry("slash") } };
  expect(usersFor("r.example/team/app:1", first, second)).toEqual(["app", "team", "slash", "host"]);
  expect(usersFor("r.example/team2/app:1", first, second)).toEqual(["host"]);
  const given = [first, second].map((config, index) => ({ config, from: index }));
  expect(credentialsFor("r.example/team/app:1", given).map(({ from }) => from)).toEqual([0, 1, 1, 0]);
});

test("globs stand for parts of one label; ports must be equal", () => {
  const config = { auths: { "*.example.com": entry("any"), "r*y.example.com:5000": entry("port") } };
  expect(usersFor("a.example.com/app", config)).toEqual(["any"]);
  expect(usersFor("a.b.example.com/app", config)).toEqual([]);
  expect(usersFor("example.com/app", config)).toEqual([]);
  expect(usersFor("registry.example.com:5000/app", config)).toEqual(["port"]);
});

test("what is no config gives nothing", () => {
  expect(authsFor("nginx", undefined, "x", [], { auths: 3 }, { auths: { "docker.io": "x" } })).toEqual([]);
});
