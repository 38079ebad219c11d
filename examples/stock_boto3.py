"""Plain boto3, as the service's documentation writes it. Only the import line is different.

Run it without an account: ``toast-boto sandbox -- python examples/stock_boto3.py``
"""

import toast_boto as boto3

s3 = boto3.client("s3")

bucket = s3.create_bucket(Bucket="photos")
print("created", bucket["Location"])

with open(__file__, "rb") as file:
    stored = s3.put_object(Bucket="photos", Key="2026/봄 소풍.txt", Body=file)
print("stored, ETag", stored["ETag"])

for item in s3.list_objects_v2(Bucket="photos")["Contents"]:
    print("there is", item["Key"], item["Size"], "bytes")

text = s3.get_object(Bucket="photos", Key="2026/봄 소풍.txt")["Body"].read()
print("read back", len(text), "bytes")

url = s3.generate_presigned_url(
    "get_object", Params={"Bucket": "photos", "Key": "2026/봄 소풍.txt"}
)
print("to be shared for an hour:", url)

s3.delete_objects(Bucket="photos", Delete={"Objects": [{"Key": "2026/봄 소풍.txt"}]})
s3.delete_bucket(Bucket="photos")
print("deleted; buckets now:", s3.list_buckets()["Buckets"])
