// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// write makes a file with its directories.
func write(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// The files are asked in their order, and in each the most specific name first.
func TestCredentialsOrder(t *testing.T) {
	home := t.TempDir()
	environment := map[string]string{"HOME": home, "XDG_RUNTIME_DIR": home + "/run", "REGISTRY_AUTH_FILE": home + "/named.json"}
	getenv := func(name string) string { return environment[name] }
	files := []string{home + "/given.json", home + "/named.json", home + "/run/containers/auth.json", home + "/.config/containers/auth.json", home + "/.docker/config.json"}
	if got := DefaultFiles(getenv, home+"/given.json").Auth; !cmp.Equal(got, files) {
		t.Errorf("got %s, want %s", got, files)
	}
	for i := range files { // the last one first
		path := files[len(files)-1-i]
		write(t, path, `{"auths":{"registry.example":{"username":"`+path+`","password":"p"},"registry.example/team/x":{"username":"x","password":"p"}}}`, 0o600)
		f := DefaultFiles(getenv, "")
		if path == files[0] {
			f = DefaultFiles(getenv, path)
		}
		for repository, want := range map[string]string{"a": path, "team/x": "x", "team/x/y": "x", "team/xy": path} {
			if got, err := f.Credentials(t.Context(), "registry.example", repository); err != nil || got.Username != want {
				t.Errorf("%s: got %q, %v, want %q", repository, got.Username, err, want)
			}
		}
		if got, err := f.Credentials(t.Context(), "other.example", "x"); err != nil || !got.None() {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	_, err := DefaultFiles(getenv, home+"/absent").Credentials(t.Context(), "registry.example", "a")
	wantError(t, err, "absent: no such file")
	environment["DOCKER_CONFIG"], environment["XDG_CONFIG_HOME"] = "/docker", "/config"
	f := DefaultFiles(getenv, "")
	if f.Auth[2] != "/config/containers/auth.json" || f.Auth[3] != "/docker/config.json" {
		t.Errorf("got %s", f.Auth)
	}
}

func TestCredentialsForms(t *testing.T) {
	for document, want := range map[string]Credentials{
		``:                           {},
		`{}`:                         {},
		`{"auths":null}`:             {},
		`{"auths":{"r.example":{}}}`: {},
		`{"auths":{"r.example":{"auth":"dTpwOnc="}}}`:                     {Username: "u", Password: "p:w"},
		`{"auths":{"https://r.example/v1/":{"auth":"dTpw"}}}`:             {Username: "u", Password: "p"},
		`{"auths":{"http://r.example":{"auth":"dTpw"}}}`:                  {Username: "u", Password: "p"},
		`{"auths":{"r.example":{"auth":"dTo=","identitytoken":"t"}}}`:     {Username: "u", IdentityToken: "t"},
		`{"auths":{"r.example":{"username":"u","password":"p"}},"x":[1]}`: {Username: "u", Password: "p"},
	} {
		got, err := withAuth(t, document).Credentials(t.Context(), "r.example", "a")
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", document, got, err, want)
		}
	}
	for document, want := range map[string]string{
		`{`: "auth.json: unexpected end", `{"auths":{"r.example":{"auth":"*"}}}`: "entry r.example: auth is not base64",
		`{"auths":{"r.example":{"auth":"dQ=="}}}`: "auth is not user:password", `{"auths":[]}`: "cannot unmarshal",
	} {
		_, err := withAuth(t, document).Credentials(t.Context(), "r.example", "a")
		wantError(t, err, want)
	}
	for _, key := range []string{"docker.io", "https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io"} {
		got, err := withAuth(t, `{"auths":{"`+key+`":{"auth":"dTpw"}}}`).Credentials(t.Context(), "docker.io", "library/debian")
		if err != nil || got.Username != "u" {
			t.Errorf("%s: got %+v, %v", key, got, err)
		}
	}
}

// withHelper puts a credential helper on PATH, which keeps what it is given in a
// directory.
func withHelper(t *testing.T, name string) (dir string) {
	dir = t.TempDir()
	write(t, filepath.Join(dir, "docker-credential-"+name), `#!/bin/sh
cd `+dir+`
case $1 in
get) read -r server; f=$(printf %s "$server" | tr / _)
	[ -f "$f" ] || { echo "credentials not found in native keychain"; exit 1; }
	cat "$f" ;;
store) read -r all; f=$(printf %s "$all" | sed 's/.*"ServerURL":"\([^"]*\)".*/\1/' | tr / _); printf %s "$all" >"$f" ;;
erase) read -r server; rm "$(printf %s "$server" | tr / _)" ;;
broken) ;;
esac
`, 0o755)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return dir
}

func TestCredentialHelpers(t *testing.T) {
	dir := withHelper(t, "test")
	write(t, filepath.Join(dir, "r.example"), `{"Username":"<token>","Secret":"identity"}`, 0o600)
	write(t, filepath.Join(dir, "https:__index.docker.io_v1_"), `{"Username":"u","Secret":"p"}`, 0o600)
	for document, want := range map[string]string{
		`{"credHelpers":{"r.example":"test"}}`:                                               "identity",
		`{"credsStore":"test"}`:                                                              "identity",
		`{"credsStore":"absent","credHelpers":{"r.example":"test"}}`:                         "identity",
		`{"credsStore":"test","auths":{"r.example":{}}}`:                                     "identity",
		`{"credsStore":"test","auths":{"r.example":{"identitytoken":"own"}}}`:                "own",
		`{"credHelpers":{"r.example":"test"},"auths":{"r.example":{"identitytoken":"own"}}}`: "identity",
		`{"credHelpers":{"other.example":"absent"}}`:                                         "",
	} {
		got, err := withAuth(t, document).Credentials(t.Context(), "r.example", "a/b")
		if err != nil || got.IdentityToken != want {
			t.Errorf("%s: got %+v, %v, want %q", document, got, err, want)
		}
	}
	if got, err := withAuth(t, `{"credsStore":"test"}`).Credentials(t.Context(), "docker.io", "library/x"); err != nil || got.Password != "p" {
		t.Errorf("got %+v, %v", got, err)
	}
	for document, want := range map[string]string{
		`{"credsStore":"absent"}`: "docker-credential-absent", `{"credHelpers":{"r.example":"../../bin/sh"}}`: "not a name",
	} {
		_, err := withAuth(t, document).Credentials(t.Context(), "r.example", "a")
		wantError(t, err, want)
	}
}

// A login is checked first, kept at one place and taken back.
func TestLogin(t *testing.T) {
	f := newFake(t)
	f.before = func(w http.ResponseWriter, r *http.Request) bool {
		if user, password, _ := r.BasicAuth(); user == "user" && password == "secret" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
		return true
	}
	for name, login := range map[string]func(t *testing.T, path string) Files{
		"a new file": func(t *testing.T, path string) Files {
			return Files{Auth: []string{path + ".other", path}, Login: path}
		},
		"another entry": func(t *testing.T, path string) Files {
			write(t, path, `{"auths":{"x":{"auth":"dTpw"}},"credHelpers":{},"unknown":[1,2]}`, 0o644)
			return Files{Auth: []string{path}, Login: path}
		},
		"an old entry": func(t *testing.T, path string) Files {
			write(t, path, `{"auths":{"`+f.host()+`":{"auth":"dTpw"}}}`, 0o600)
			return Files{Auth: []string{path, path + ".other"}, Login: path + ".other"}
		},
		"named": func(t *testing.T, path string) Files {
			return Files{Auth: []string{path, path + ".other"}, Login: path, Named: true, Explicit: true}
		},
		"a link": func(t *testing.T, path string) Files {
			write(t, path, `{"auths":null}`, 0o600)
			os.Symlink(path, path+".link")
			return Files{Auth: []string{path + ".link"}, Login: path + ".link"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "sub/config.json")
			files := login(t, path)
			before, _ := os.ReadFile(path)
			client, _ := newTestClient(t, Options{Files: files})
			_, err := client.Login(t.Context(), f.host(), Credentials{Username: "user", Password: "wrong"})
			wantError(t, err, "the registry refuses this user name and password: authentication required")
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Errorf("a refused login changed the file to %s", after)
			}
			warning, err := client.Login(t.Context(), f.host(), Credentials{Username: "user", Password: "secret"})
			if err != nil || !strings.Contains(warning, "unencrypted in ") {
				t.Fatalf("got %q, %v", warning, err)
			}
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("got mode %v, %v", info, err)
			}
			if got, err := files.Credentials(t.Context(), f.host(), "a"); err != nil || got.Username != "user" || got.Password != "secret" {
				t.Errorf("got %+v, %v", got, err)
			}
			if name == "another entry" {
				data, _ := os.ReadFile(path)
				var document map[string]json.RawMessage
				if json.Unmarshal(data, &document); document["unknown"] == nil || !strings.Contains(string(data), "dTpw") {
					t.Errorf("what was there is gone: %s", data)
				}
			}
			for _, want := range []bool{true, false} {
				if found, err := client.Logout(t.Context(), f.host()); err != nil || found != want {
					t.Errorf("logout: got %v, %v, want %v", found, err, want)
				}
			}
			left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".strata-auth*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %s, %v", left, err)
			}
		})
	}
}

func TestLoginWithHelper(t *testing.T) {
	f := newFake(t)
	dir := withHelper(t, "test")
	files := withAuth(t, `{"credsStore":"test"}`)
	client, _ := newTestClient(t, Options{Files: files})
	warning, err := client.Login(t.Context(), f.host(), Credentials{Username: "user", Password: "secret"})
	if err != nil || warning != "" {
		t.Fatalf("got %q, %v", warning, err)
	}
	if data, _ := os.ReadFile(files.Login); strings.Contains(string(data), "auths") {
		t.Errorf("the file has %s", data)
	}
	if got, err := files.Credentials(t.Context(), f.host(), "a"); err != nil || got.Password != "secret" {
		t.Errorf("got %+v, %v", got, err)
	}
	if found, err := client.Logout(t.Context(), f.host()); err != nil || !found {
		t.Errorf("got %v, %v", found, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "127*")); len(left) > 0 {
		t.Errorf("left behind: %s", left)
	}
}
