#!/usr/bin/env bun
console.log("bramble");
