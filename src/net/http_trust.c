/* Owns the TLS side of libcurl: its options, and the reading of its failures. Called by http_client.c for each call and
 * by the configuration's table; never decides whether a call is repeated. */
#include "net/http_trust.h"

#include "base/buf.h"
#include "base/file.h"

#include <dirent.h>
#include <stdbool.h>
#include <string.h>

enum { CA_FILE_MAX_BYTES = 4 * 1024 * 1024, PIN_BASE64_LEN = 44 };

static const char PIN_SCHEME[] = "sha256//";

/* ---- configuration ---- */

int http_trust_check_ca_file(const char *path, struct err *err)
{
	struct buf text;
	buf_init(&text, CA_FILE_MAX_BYTES);
	int rc = file_read(path, &text, err);
	if (!rc && !strstr(buf_text(&text), "-----BEGIN CERTIFICATE-----") &&
	    !strstr(buf_text(&text), "-----BEGIN TRUSTED CERTIFICATE-----"))
		rc = err_set(err, ERR_INVALID, "%s holds no certificate in PEM form", path);
	buf_done(&text);
	return rc;
}

/* 32 bytes in base64: 43 characters and a '='. */
static bool is_pin(const char *text, size_t len)
{
	size_t scheme_len = sizeof(PIN_SCHEME) - 1;
	if (len != scheme_len + PIN_BASE64_LEN || strncmp(text, PIN_SCHEME, scheme_len) != 0)
		return false;
	const char *base64 = text + scheme_len;
	size_t letters = strspn(base64, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
	return letters == PIN_BASE64_LEN - 1 && base64[letters] == '=';
}

int http_trust_check_pins(const char *pins, struct err *err)
{
	for (const char *pin = pins;;) {
		size_t len = strcspn(pin, ";");
		if (!is_pin(pin, len))
			return err_set(err, ERR_INVALID, "must be sha256// and 44 characters of base64, "
				       "as the hub's log shows it at start (several with ';' between)");
		if (pin[len] == '\0')
			return 0;
		pin += len + 1;
	}
}

/* ---- options ---- */

/* Whether the directory holds certificates under the hashes of their names ("4042bcee.0"), as OpenSSL looks them up. */
static bool is_hashed(const char *path)
{
	DIR *directory = path ? opendir(path) : NULL;
	bool found = false;
	for (struct dirent *entry; directory && !found && (entry = readdir(directory));)
		found = strlen(entry->d_name) == 10 && strspn(entry->d_name, "0123456789abcdef") == 8 &&
			strcmp(entry->d_name + 8, ".0") == 0;
	if (directory)
		(void)closedir(directory);
	return found;
}

/* The system's authorities stand in one file and, on Debian, in a directory too. The file is parsed whole (144 certificates
 * cost 0.9 MB resident); of the directory only what is needed is read. */
static bool has_directory_of_authorities(void)
{
	static enum { UNKNOWN, NO, YES } answer;
	if (answer == UNKNOWN) {
		const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
		bool hashed = info->age >= CURLVERSION_SEVENTH && info->ssl_version &&
			      strncmp(info->ssl_version, "OpenSSL", strlen("OpenSSL")) == 0 && is_hashed(info->capath);
		answer = hashed ? YES : NO;
	}
	return answer == YES;
}

#define SET(option, value) \
	do { \
		if (code == CURLE_OK) \
			code = curl_easy_setopt(easy, (option), (value)); \
	} while (0)

CURLcode http_trust_apply(CURL *easy, const struct http_trust *trust)
{
	CURLcode code = CURLE_OK;
	const char *ca_file = trust && trust->ca_file && *trust->ca_file ? trust->ca_file : NULL;
	const char *pins = trust && trust->pins && *trust->pins ? trust->pins : NULL;
	bool chain = ca_file || !pins;
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, chain ? 1L : 0L);
	SET(CURLOPT_SSL_VERIFYHOST, chain ? 2L : 0L);
	if (pins)
		SET(CURLOPT_PINNEDPUBLICKEY, pins);
	if (ca_file || !chain)
		SET(CURLOPT_CAPATH, NULL); /* these and no others */
	if (ca_file || !chain || has_directory_of_authorities())
		SET(CURLOPT_CAINFO, ca_file);
	return code;
}

#undef SET

/* ---- failures ---- */

/* What OpenSSL found wrong with a chain: X509_V_ERR_… of its x509_vfy.h, which CURLINFO_SSL_VERIFYRESULT hands on. */
enum {
	VERIFY_OK = 0,
	VERIFY_NOT_REACHED = 1, /* where libcurl begins: it looks at the name first */
	VERIFY_NOT_YET_VALID = 9,
	VERIFY_EXPIRED = 10,
	VERIFY_SELF_SIGNED = 18,
	VERIFY_SELF_SIGNED_IN_CHAIN = 19,
	VERIFY_NO_ISSUER = 20,
	VERIFY_NO_LEAF_ISSUER = 21,
};

static const char *advice_about_chain(CURL *easy)
{
	long found = VERIFY_OK;
	(void)curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &found);
	switch (found) {
	case VERIFY_OK:
	case VERIFY_NOT_REACHED:
		return "its certificate is for another name; put one of the certificate's names into server_url, "
		       "or trust its key with tls_pin";
	case VERIFY_NOT_YET_VALID:
	case VERIFY_EXPIRED:
		return "renew the hub's certificate (SIGHUP makes it read the new one), or look at this machine's clock";
	case VERIFY_SELF_SIGNED:
	case VERIFY_SELF_SIGNED_IN_CHAIN:
	case VERIFY_NO_ISSUER:
	case VERIFY_NO_LEAF_ISSUER:
		return "no authority that is trusted here has signed its certificate; name the authority's file with "
		       "tls_ca, or trust its key with tls_pin";
	default:
		return "see to the hub's certificate, or trust its key with tls_pin";
	}
}

const char *http_trust_advice(CURL *easy, CURLcode code, const char *text)
{
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
		return advice_about_chain(easy);
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
		return "the hub has another key than tls_pin says; take its pin from the hub's log, "
		       "or somebody stands between";
	case CURLE_SSL_CACERT_BADFILE:
		return "tls_ca must name a PEM file that can be read";
	case CURLE_SSL_CONNECT_ERROR:
		/* OpenSSL's words for bytes that are no TLS. */
		if (strstr(text, "wrong version number") || strstr(text, "packet length too long") ||
		    strstr(text, "record layer failure"))
			return "no TLS is spoken on this port; a hub without tls_cert is called by http://";
		/* It may also just have closed. */
		return "perhaps no TLS is spoken on this port; a hub without tls_cert is called by http://";
	default:
		return NULL;
	}
}
