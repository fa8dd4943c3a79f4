// SPDX-License-Identifier: Apache-2.0

// Command empty does nothing: its time from start to exit is what any Go
// program pays.
package main

func main() {}
