// A preload: connections to one host go to a port of this machine, as if its name led here. Certificates are checked as
// ever, for the name that was asked for.
import https from 'node:https';
import tls from 'node:tls';

const { CARNET_TEST_HOST: host, CARNET_TEST_HOST_PORT: port } = process.env;
const usual = https.globalAgent.createConnection;
https.globalAgent.createConnection = function connect(options, done) {
  if (options.host !== host) return usual.call(this, options, done);
  return tls.connect({ ...options, host: '127.0.0.1', port: Number(port), servername: host });
};
